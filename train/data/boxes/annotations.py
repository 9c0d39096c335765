"""Annotations as they were written, faults and all: what every format reads into, before it is trusted.

`check` reports on this form; `to_detection_set` refuses its faults and gives the form that training uses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tombola.train.data.boxes.detection_set import DetectionRecord, DetectionSet
from tombola.train.data.finding import Finding, Kind, raise_first
from tombola.train.data.pictures.pictures import PictureStore
from tombola.train.data.text import LONGEST_NAME, listed, quoted

# Annotation tools round, and some count pixels from 1: a box that is this far outside is clipped in silence.
ROUNDING_PX = 1.0
# Below this, float32 may round a box of a large picture to nothing.
MIN_SIDE_PX = 0.01


@dataclass(frozen=True)
class AnnotatedPicture:
    """One picture's annotation.

    file_name    name of the picture in its store
    where        file, and place in it, to name in messages
    boxes_xyxy   float64 [n, 4] in pixels of the upright picture, not yet judged: any finite or NaN value
    class_names  n names as written
    difficult    bool [n]
    size_hw      of the picture itself, upright; None if it is missing or cannot be read
    image_id     as COCO has it
    """

    file_name: str
    where: str
    boxes_xyxy: NDArray[np.float64]
    class_names: tuple[str, ...]
    difficult: NDArray[np.bool_]
    size_hw: tuple[int, int] | None
    image_id: int | str | None = None


@dataclass(frozen=True)
class Annotations:
    """All that a format's reader understood, and what it could not (`findings`). category_ids: as COCO has
    them, by name."""

    source: str
    classes: tuple[str, ...]
    pictures_annotated: tuple[AnnotatedPicture, ...]
    pictures: PictureStore
    findings: tuple[Finding, ...]
    category_ids: Mapping[str, int | str] = field(default_factory=dict)


def choose_classes(asked: Sequence[str] | None, written: Sequence[str]) -> tuple[str, ...]:
    """Return the asked classes in their order, else the written ones, each once."""
    return tuple(dict.fromkeys(written if asked is None else asked))


def to_detection_set(annotations: Annotations) -> DetectionSet:
    """Return the set that training uses: boxes clipped to the picture, classes as indices.

    DataError names the first faults: what could not be read, missing pictures, unknown classes, boxes
    without area or outside of their picture, a picture annotated twice, no boxes at all.
    """
    faults = [
        *annotations.findings,
        *missing_pictures(annotations),
        *(
            fault
            for picture in annotations.pictures_annotated
            for fault in picture_faults(annotations, picture)
        ),
        *annotated_twice(annotations),
        *emptiness(annotations),
    ]
    raise_first([one for one in faults if one.kind.stops_training], annotations.source)
    index = {name: label for label, name in enumerate(annotations.classes)}
    records = [_record(picture, index) for picture in annotations.pictures_annotated]
    return DetectionSet(
        annotations.classes,
        tuple(sorted(records, key=lambda r: r.file_name)),
        annotations.pictures,
        annotations.category_ids,
    )


def _record(picture: AnnotatedPicture, index: dict[str, int]) -> DetectionRecord:
    boxes_xyxy = picture.boxes_xyxy
    if picture.size_hw is not None:
        height, width = picture.size_hw
        boxes_xyxy = np.clip(boxes_xyxy, 0, [width, height, width, height])
    return DetectionRecord(
        file_name=picture.file_name,
        boxes_xyxy=boxes_xyxy.astype(np.float32).reshape(-1, 4),
        labels=np.array([index[name] for name in picture.class_names], dtype=np.int64),
        difficult=picture.difficult.astype(np.bool_),
        size_hw=picture.size_hw,
        image_id=picture.image_id,
    )


def missing_pictures(annotations: Annotations) -> list[Finding]:
    """Return a finding per picture that the store does not hold."""
    missing = [one for one in annotations.pictures_annotated if one.file_name not in annotations.pictures]
    cure = "copy it there or remove its annotation"
    if len(missing) == len(annotations.pictures_annotated) and missing:
        example = next(annotations.pictures.names(), None)
        cure = f"names must be as in the store, which holds {example or 'no picture'}"
    return [
        Finding(
            Kind.MISSING_PICTURE,
            one.where,
            f"{one.file_name[:LONGEST_NAME]} is not in {annotations.pictures}",
            cure,
        )
        for one in missing
    ]


def picture_faults(annotations: Annotations, picture: AnnotatedPicture) -> Iterator[Finding]:
    """Yield what makes one picture's boxes useless, without decoding the picture."""
    classes = frozenset(annotations.classes)
    for number, (box, name) in enumerate(zip(picture.boxes_xyxy, picture.class_names, strict=True)):
        where = f"{picture.where}, box {number}"
        if name not in classes:
            yield Finding(
                Kind.UNKNOWN_CLASS,
                where,
                f"class {quoted(name)} is not one of {listed(annotations.classes)}",
                "add it to the classes, or correct or remove the box",
            )
        yield from box_faults(box, picture.size_hw, where)


def box_faults(box: NDArray[np.float64], size_hw: tuple[int, int] | None, where: str) -> Iterator[Finding]:
    """Yield what is wrong with one box x1 y1 x2 y2 in pixels of a picture of `size_hw`."""
    x1, y1, x2, y2 = (float(value) for value in box)
    text = f"x1={x1:g} y1={y1:g} x2={x2:g} y2={y2:g}"
    if not np.isfinite(box).all():
        yield Finding(Kind.BAD_ANNOTATION, where, f"{text} is not finite", "correct or remove the box")
        return
    height, width = size_hw if size_hw is not None else (np.inf, np.inf)
    if x2 - x1 < MIN_SIDE_PX or y2 - y1 < MIN_SIDE_PX:
        cure = "remove the box, or order it as x1 < x2, y1 < y2"
        yield Finding(Kind.ZERO_AREA, where, f"{text} has no area", cure)
    elif min(x1, y1) < -ROUNDING_PX or x2 > width + ROUNDING_PX or y2 > height + ROUNDING_PX:
        size = f"the picture of {width}×{height} px" if size_hw is not None else "the picture"
        cure = "clip it, or label this copy of the picture"
        yield Finding(Kind.BOX_OUTSIDE, where, f"{text} reaches out of {size}", cure)
    elif min(x2, width) - max(x1, 0) < MIN_SIDE_PX or min(y2, height) - max(y1, 0) < MIN_SIDE_PX:
        yield Finding(Kind.ZERO_AREA, where, f"{text} has no area inside of the picture", "remove the box")


def annotated_twice(annotations: Annotations) -> Iterator[Finding]:
    """Yield each picture that is annotated more than once under one name."""
    first: dict[str, str] = {}
    for picture in annotations.pictures_annotated:
        if picture.file_name in first:
            yield Finding(
                Kind.ANNOTATED_TWICE,
                picture.where,
                f"{picture.file_name} is annotated at {first[picture.file_name]} too",
                "join the two annotations",
            )
        first.setdefault(picture.file_name, picture.where)


def emptiness(annotations: Annotations) -> Iterator[Finding]:
    """Yield the finding of a set without any box to learn from."""
    pictures = annotations.pictures_annotated
    if any((~picture.difficult).any() for picture in pictures):
        return
    difficult = sum(len(picture.difficult) for picture in pictures)
    yield Finding(
        Kind.NO_BOXES,
        annotations.source,
        f"{len(pictures)} pictures and {'only difficult boxes' if difficult else 'not one box'}",
        "label some, or check that this is the right file and format",
    )
