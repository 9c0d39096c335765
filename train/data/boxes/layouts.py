"""The sets of a data folder as tools lay them out: YOLO, VOC, COCO, and exports with a folder a set."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tombola.errors import DataError
from tombola.runtime.pictures.suffixes import PICTURE_SUFFIXES
from tombola.train.data.boxes.readers.yolo_names import YAML_FILES, items, read_names, scalar, yaml_table
from tombola.train.data.pictures.pictures import files_in
from tombola.train.data.unread import COCO_NAME
from tombola.train.recipe.text_file import read_text

# What the folders and lists of each set are called.
SETS = {
    "train": ("train", "training", "trainval"),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test", "testing"),
}
WHOLE = "all"
MOST_BYTES = 8_000_000


@dataclass(frozen=True)
class BoxSource:
    """Where one labelled set lies; `listed` is a list that chooses among its pictures."""

    format_name: str
    annotations: Path
    pictures: Path
    listed: Path | None = None


def find_sets(path: Path) -> dict[str, list[BoxSource]]:
    """Return {"train" | "valid" | "test": sources}, or {"all": …} of a folder that is not divided.

    path: a YOLO data.yaml, or a folder that holds one; a folder with images/ and labels/; a VOC root with
    Annotations/ and JPEGImages/; an export with a folder a set; a COCO root with annotations/. {} if it is
    none of these. DataError if a data.yaml cannot be read or names what is not there.
    """
    if path.is_file():
        return _of_yaml(path) if path.suffix.lower() in (".yaml", ".yml") else {}
    if not path.is_dir():
        return {}
    for name in YAML_FILES:
        if (path / name).is_file() and (found := _of_yaml(path / name)):
            return found
    for look in (_set_folders, _voc_root, _images_and_labels, _coco_root):
        if found := look(path):
            return found
    source = _folder_of_both(path)
    return {WHOLE: [source]} if source is not None else {}


def classes_of(path: Path) -> tuple[str, ...]:
    """Return the classes that a YOLO data.yaml at `path` names; none if it is no such file."""
    if not (path.is_file() and path.suffix.lower() in (".yaml", ".yml")):
        return ()
    return tuple(dict.fromkeys(read_names(path).names.values()))


def _of_yaml(path: Path) -> dict[str, list[BoxSource]]:
    """What the keys train, val and test of a YOLO data.yaml name."""
    try:
        table = yaml_table(read_text(path, MOST_BYTES))
        base = path.parent / scalar(table["path"]) if "path" in table else path.parent
        named = {
            split: _texts(table[key])
            for split, keys in SETS.items()
            for key in keys
            if key in table and (not isinstance(table[key], yaml.ScalarNode) or table[key].value)
        }
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; make it readable") from error
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    return {
        split: [_yolo_source(_located(text, base, path), path) for text in texts]
        for split, texts in named.items()
    }


def _texts(node: yaml.Node) -> list[str]:
    return [scalar(node)] if isinstance(node, yaml.ScalarNode) else [scalar(one) for one in items(node)]


def _located(text: str, base: Path, path: Path) -> Path:
    """The file or folder that a data.yaml names: under its `path`, beside it, or, as exports write it, one
    folder too high."""
    for root in (base, path.parent):
        for name in (text, text.replace("\\", "/").removeprefix("../")):
            if (root / name).exists():
                return root / name
    raise DataError(f"{path} names {text!r}, which is not in {base}; correct the path, or take it out")


def _yolo_source(place: Path, path: Path) -> BoxSource:
    if place.is_dir():
        return BoxSource("yolo", _labels_of(place), place)
    images = _child(place.parent, "images") or path.parent
    return BoxSource("yolo", _labels_of(images), images, place)


def _labels_of(images: Path) -> Path:
    """The folder of the labels: `labels` where the path has `images`, the last time it does; or the same."""
    parts = list(images.parts)
    for place in range(len(parts) - 1, -1, -1):
        if parts[place].lower() == "images":
            labels = Path(*parts[:place], "labels", *parts[place + 1 :])
            if labels.is_dir():
                return labels
    return images


def _set_folders(root: Path) -> dict[str, list[BoxSource]]:
    """root/train, root/valid and root/test, each with annotations and pictures."""
    found = {}
    for split, folder in _named_like_sets(root):
        source = _folder_of_both(folder)
        if source is not None:
            found[split] = [source]
    return found


def _folder_of_both(folder: Path) -> BoxSource | None:
    """A folder with images/ and labels/, or with pictures and their annotations side by side."""
    images, labels = _child(folder, "images"), _child(folder, "labels")
    if images is not None and labels is not None:
        return BoxSource("yolo", labels, images)
    coco = next((path for path in sorted(folder.iterdir()) if path.name.lower().endswith(COCO_NAME)), None)
    if coco is not None:
        return BoxSource("coco", coco, folder)
    files = [path for path in folder.iterdir() if path.is_file()]
    stems = {path.stem for path in files if path.suffix.lower() in PICTURE_SUFFIXES}
    for format_name, suffix in (("voc", ".xml"), ("yolo", ".txt")):
        if any(path.suffix.lower() == suffix and path.stem in stems for path in files):
            return BoxSource(format_name, folder, folder)
    return None


def _voc_root(root: Path) -> dict[str, list[BoxSource]]:
    annotations, pictures = _child(root, "annotations"), _child(root, "jpegimages") or _child(root, "images")
    if annotations is None or pictures is None or not _holds(annotations, ".xml"):
        return {}
    lists = root / "ImageSets" / "Main"
    return _divided(BoxSource("voc", annotations, pictures), lists if lists.is_dir() else root)


def _images_and_labels(root: Path) -> dict[str, list[BoxSource]]:
    images, labels = _child(root, "images"), _child(root, "labels")
    if images is None or labels is None:
        return {}
    sets = {
        split: [BoxSource("yolo", labels / folder.name, folder)]
        for split, folder in _named_like_sets(images)
        if (labels / folder.name).is_dir()
    }
    return sets or _divided(BoxSource("yolo", labels, images), root)


def _coco_root(root: Path) -> dict[str, list[BoxSource]]:
    """annotations/instances_train2017.json and train2017/, images/train2017/ or images/."""
    annotations = _child(root, "annotations")
    if annotations is None:
        return {}
    found: dict[str, list[BoxSource]] = {split: [] for split in SETS}
    for path in sorted(annotations.glob("*.json")):
        kind, _, rest = path.stem.partition("_")
        if rest and kind != "instances":
            continue  # captions, key points
        stem = rest or kind
        folders = [root / stem, root / "images" / stem, root / "images"]
        for split, names in SETS.items():
            if stem.lower().rstrip("0123456789_-") in names:
                pictures = next((folder for folder in folders if folder.is_dir()), root)
                found[split].append(BoxSource("coco", path, pictures))
    return {split: sources for split, sources in found.items() if sources}


def _divided(source: BoxSource, lists: Path) -> dict[str, list[BoxSource]]:
    """The source by lists named train.txt, val.txt, test.txt; trainval.txt only where there is no val.txt."""
    sets = {}
    for split, names in SETS.items():
        path = next((lists / f"{name}.txt" for name in names if (lists / f"{name}.txt").is_file()), None)
        if path is not None:
            sets[split] = [BoxSource(source.format_name, source.annotations, source.pictures, path)]
    return sets or {WHOLE: [source]}


def _named_like_sets(folder: Path) -> Iterator[tuple[str, Path]]:
    for split, names in SETS.items():
        for name in names:
            if (child := _child(folder, name)) is not None:
                yield split, child
                break


def _child(folder: Path, name: str) -> Path | None:
    """The folder in `folder` of that name, in any case."""
    return next((one for one in sorted(folder.iterdir()) if one.name.lower() == name and one.is_dir()), None)


def _holds(folder: Path, suffix: str) -> bool:
    return next(files_in(folder, frozenset({suffix})), None) is not None
