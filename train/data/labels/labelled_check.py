"""What is in a classification set and everything that is wrong with it, at one look at all its pictures."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError, PictureError
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.labels.labelled import LabelledPictures, label_faults, no_pictures
from tombola.train.data.leaks import Look, look


@dataclass(frozen=True)
class LabelledSummary:
    """Counts of a classification set, faults included, and what a recipe's normalisation wants to know.

    pictures               labelled pictures
    pictures_by_class      {class: pictures}, in the order of the classes
    picture_sizes_hw       smallest, median and largest height and width; None if no picture can be read
    mean_rgb, spread_rgb   mean and standard deviation of all pixels by channel, in 0 … 255
    is_grey                whether the three channels of every picture are equal
    """

    pictures: int
    pictures_by_class: dict[str, int]
    picture_sizes_hw: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None
    mean_rgb: tuple[float, ...]
    spread_rgb: tuple[float, ...]
    is_grey: bool

    def rows(self) -> list[tuple[str, str]]:
        """Return table rows (what, value), with a row per class at the end."""
        rows = [("pictures", str(self.pictures)), ("classes", str(len(self.pictures_by_class)))]
        if self.picture_sizes_hw is not None:
            sizes = " / ".join(f"{width}×{height}" for height, width in self.picture_sizes_hw)
            rows.append(("picture size, smallest / median / largest", f"{sizes} px"))
            for what, values in (("mean", self.mean_rgb), ("standard deviation", self.spread_rgb)):
                shown = values[:1] if self.is_grey else values
                rows.append(
                    (f"{what}, {'grey' if self.is_grey else 'red, green, blue'} 0 … 255", _listed(shown))
                )
        return rows + [(f"  {name}", str(count)) for name, count in self.pictures_by_class.items()]


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


@dataclass(frozen=True)
class _Seen:
    """One picture: its size, or why it cannot be read; a hash of its pixels; their moments by channel."""

    size_hw: tuple[int, int] | None
    trouble: str = ""
    digest: bytes = b""
    mean_rgb: NDArray[np.float64] | None = None
    spread_rgb: NDArray[np.float64] | None = None
    is_grey: bool = True
    look: Look | None = None


def look_at(labelled: LabelledPictures) -> tuple[LabelledSummary, list[Finding]]:
    """Return the summary and every fault: counts, labels, pictures that cannot be read or come twice.

    All pictures are decoded. Read them with `classify_formats.read`. Faults that a training refuses have
    `kind.stops_training`.
    """
    summary, findings, _ = look_over(labelled)
    return summary, findings


def look_over(labelled: LabelledPictures) -> tuple[LabelledSummary, list[Finding], list[Look | None]]:
    """Return what `look_at` does, and how each picture looks, None if it cannot be read."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        seen = list(threads.map(lambda place: _see(labelled, place), range(len(labelled.labels))))
    known = (labelled.labels >= 0) & (labelled.labels < len(labelled.classes))
    counts = np.bincount(labelled.labels[known], minlength=len(labelled.classes))
    by_class = dict(zip(labelled.classes, counts.tolist(), strict=True))
    findings = [
        *labelled.findings,
        *label_faults(labelled),
        *_unreadable(labelled, seen),
        *_seen_twice(labelled, seen),
        *_classes_without_pictures(labelled, by_class),
        *no_pictures(labelled),
    ]
    return _summary(len(labelled.labels), by_class, seen), findings, [one.look for one in seen]


def _see(labelled: LabelledPictures, place: int) -> _Seen:
    try:
        image_rgb_u8 = labelled.pixels.picture(place).image_rgb_u8
    except (DataError, PictureError) as error:
        return _Seen(None, trouble=str(error))
    height, width = image_rgb_u8.shape[:2]
    mean, spread = cv2.meanStdDev(image_rgb_u8)
    digest = hashlib.sha256(f"{height}×{width}".encode() + image_rgb_u8.tobytes()).digest()
    return _Seen(
        size_hw=(height, width),
        digest=digest,
        mean_rgb=mean[:, 0].astype(np.float64),
        spread_rgb=spread[:, 0].astype(np.float64),
        is_grey=bool((image_rgb_u8 == image_rgb_u8[..., :1]).all()),
        look=look(labelled.names[place], digest, image_rgb_u8),
    )


def _summary(pictures: int, by_class: dict[str, int], seen: Sequence[_Seen]) -> LabelledSummary:
    readable = [
        (one.size_hw, one.mean_rgb, one.spread_rgb)
        for one in seen
        if one.size_hw is not None and one.mean_rgb is not None and one.spread_rgb is not None
    ]
    if not readable:
        return LabelledSummary(pictures, by_class, None, (), (), is_grey=False)
    sizes = sorted((size_hw for size_hw, _, _ in readable), key=lambda hw: (hw[0] * hw[1], hw))
    pixels = np.array([size_hw[0] * size_hw[1] for size_hw, _, _ in readable], np.float64)
    means = np.stack([mean for _, mean, _ in readable])
    squares = np.stack([spread for _, _, spread in readable]) ** 2 + means**2
    mean = np.average(means, axis=0, weights=pixels)
    variance = np.maximum(np.average(squares, axis=0, weights=pixels) - mean**2, 0)
    return LabelledSummary(
        pictures=pictures,
        pictures_by_class=by_class,
        picture_sizes_hw=(sizes[0], sizes[len(sizes) // 2], sizes[-1]),
        mean_rgb=tuple(mean.tolist()),
        spread_rgb=tuple(np.sqrt(variance).tolist()),
        is_grey=all(one.is_grey for one in seen),
    )


def _unreadable(labelled: LabelledPictures, seen: Sequence[_Seen]) -> Iterator[Finding]:
    for name, one in zip(labelled.names, seen, strict=True):
        if one.size_hw is None:
            yield Finding(
                Kind.UNREADABLE_PICTURE, name, one.trouble.removeprefix(f"{name}: "), "replace or remove it"
            )


def _seen_twice(labelled: LabelledPictures, seen: Sequence[_Seen]) -> Iterator[Finding]:
    first: dict[bytes, int] = {}
    for place, one in enumerate(seen):
        if not one.digest:
            continue
        other = first.setdefault(one.digest, place)
        if other == place:
            continue
        where, there = labelled.names[place], labelled.names[other]
        if labelled.labels[place] == labelled.labels[other]:
            cure = "remove one: a picture in both training and test makes the score too good"
            yield Finding(Kind.DUPLICATE_PICTURE, where, f"the same pixels as {there}", cure)
        else:
            names = _class_name(labelled, place), _class_name(labelled, other)
            what = f"the same pixels as {there}, but {names[0]} here and {names[1]} there"
            yield Finding(Kind.TWO_CLASSES, where, what, "remove the wrong one, or both")


def _class_name(labelled: LabelledPictures, place: int) -> str:
    label = int(labelled.labels[place])
    return labelled.classes[label] if 0 <= label < len(labelled.classes) else f"of label {label}"


def _classes_without_pictures(labelled: LabelledPictures, by_class: dict[str, int]) -> Iterator[Finding]:
    for name, count in by_class.items():
        if count == 0:
            cure = "add some, or take it out of the classes"
            what = f"class {name!r} has no picture"
            yield Finding(Kind.CLASS_WITHOUT_PICTURES, labelled.source, what, cure)
