"""What lies in a folder of labelled pictures: of which task it is, its sets and classes, and their looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tombola.errors import DataError
from tombola.train.data.boxes import formats
from tombola.train.data.boxes.annotations import Annotations
from tombola.train.data.boxes.layouts import SETS, WHOLE, BoxSource, classes_of, find_sets
from tombola.train.data.boxes.summary import summarize
from tombola.train.data.finding import Kind
from tombola.train.data.labels import class_folders
from tombola.train.data.labels.labelled import LabelledPictures
from tombola.train.data.pictures.pictures import decode_rgb
from tombola.train.init.pixels import PixelSummary, measure

# Boxes of a share below this may stay too small to be found.
SMALL_SHARE = 0.1


@dataclass(frozen=True)
class Source:
    """A labelled set: `keys` is what its entry in a recipe says, n_pictures how many it holds."""

    keys: dict[str, str]
    n_pictures: int


@dataclass(frozen=True)
class Found:
    """All that a first recipe is made from.

    sets          "train", "valid", "test", or "all" of a folder that is not divided
    n_by_class    boxes or pictures of each class of the first set, in the classes' order
    small_box     √area of a small box (the tenth part is smaller) as a share of its picture's longer side;
                  0 where there are no boxes
    """

    task: str
    root: Path
    format_name: str
    sets: Mapping[str, Sequence[Source]]
    n_by_class: dict[str, int]
    pixels: PixelSummary
    small_box: float = 0.0

    @property
    def n_training(self) -> int:
        """Pictures of the set that training would read."""
        return sum(one.n_pictures for one in self.sets.get("train") or self.sets[WHOLE])


def look_at(path: Path) -> Found:
    """Look at a folder, or at a YOLO data.yaml. DataError if it holds no labelled pictures that are known."""
    if not path.exists():
        raise DataError(f"{path} does not exist; give the folder of your pictures")
    boxes = find_sets(path)
    if boxes:
        return _boxes(path, boxes)
    if not path.is_dir():
        raise DataError(f"{path} is neither a folder nor a YOLO data.yaml; give the folder of your pictures")
    return _labels(path)


def _boxes(path: Path, sets: Mapping[str, Sequence[BoxSource]]) -> Found:
    root = path if path.is_dir() else path.parent
    if not {"train", WHOLE} & sets.keys():
        raise DataError(f"{path} holds {', '.join(sets)} but no train; add the pictures to learn from")
    classes = classes_of(path) or None
    found: dict[str, list[Source]] = {}
    first: Annotations | None = None
    for split in sorted(sets, key=(*SETS, WHOLE).index):
        for one in sets[split]:
            entries = formats.read(one.annotations, one.pictures, classes, one.format_name, one.listed)
            first = first or entries
            classes = classes or entries.classes
            places = {"annotations": one.annotations, "pictures": one.pictures, "list": one.listed}
            keys = {key: _written(place, root) for key, place in places.items() if place is not None}
            found.setdefault(split, []).append(Source(keys, len(entries.pictures_annotated)))
    assert first is not None
    pictures, store = first.pictures_annotated, first.pictures
    if not pictures:
        raise DataError(f"{first.source} holds no annotated picture; `tombola data check {path}` says more")

    def read(index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        name = pictures[index].file_name
        return decode_rgb(store.read_bytes(name), name)

    pixels = measure(len(pictures), read)
    shares = [
        np.sqrt(np.prod(one.boxes_xyxy[:, 2:] - one.boxes_xyxy[:, :2], axis=1).clip(0))
        / max(one.size_hw or pixels.size_hw)
        for one in pictures
        if len(one.boxes_xyxy)
    ]
    return Found(
        "detect",
        root,
        next(iter(sets.values()))[0].format_name,
        found,
        summarize(first).boxes_by_class,
        pixels,
        small_box=float(np.nanquantile(np.concatenate(shares), SMALL_SHARE)) if shares else 0.0,
    )


def _labels(root: Path) -> Found:
    folders = {
        split: child
        for split, names in SETS.items()
        for child in sorted(root.iterdir(), reverse=True)
        if child.is_dir() and child.name.lower() in names
    }
    if "train" not in folders:
        folders = {WHOLE: root}
    read = {split: class_folders.read(folder, None) for split, folder in folders.items()}
    first = next(iter(read.values()))
    _check_classes(first, root)
    sets = {
        split: [Source({"pictures": _written(folders[split], root)}, len(one.names))]
        for split, one in read.items()
    }
    counts = np.bincount(first.labels, minlength=len(first.classes)).tolist()
    pixels = measure(len(first.names), lambda place: first.pixels.picture(place).image_rgb_u8)
    return Found("classify", root, "folder", sets, dict(zip(first.classes, counts, strict=True)), pixels)


def _check_classes(labelled: LabelledPictures, root: Path) -> None:
    strange = [one for one in labelled.findings if one.kind is Kind.ANNOTATIONS_AS_CLASSES]
    if strange:
        raise DataError(f"{strange[0].where}: {strange[0].what}; {_known()}")
    filled = len(np.unique(labelled.labels))
    if filled < 2:
        there = f"the pictures of {filled} class" if filled else "no labelled picture"
        raise DataError(f"{root} holds {there}; {_known()}")


def _known() -> str:
    return (
        "known are a folder a class (cat/1.jpg, dog/2.jpg), YOLO (data.yaml, or images/ and labels/), VOC "
        "(Annotations/ and JPEGImages/), COCO (annotations/instances_train.json and train/), and these with "
        "a folder a set"
    )


def _written(place: Path, root: Path) -> str:
    """The place as a recipe has it: under data.root, or else whole."""
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place.resolve())
