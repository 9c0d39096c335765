"""Pascal VOC XML: one file a picture."""

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tombola.errors import DataError
from tombola.train.data.boxes.annotations import (
    AnnotatedPicture,
    Annotations,
    choose_classes,
    to_detection_set,
)
from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.data.boxes.passed_over import annotation_files, not_annotated, passed_over, unread_pictures
from tombola.train.data.boxes.picture_size import checked_size_hw
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.pictures.picture_list import listed_pictures
from tombola.train.data.pictures.picture_names import PictureNames, stem_key
from tombola.train.data.pictures.pictures import PictureStore, open_pictures
from tombola.train.data.text import flag, number, quoted
from tombola.train.data.text import listed as shown

MOST_BYTES = 64_000_000
MOST_BOXES = 100_000  # in one picture
SUFFIX = ".xml"
_KNOWN = frozenset({"folder", "filename", "path", "source", "owner", "size", "segmented", "object"})
Box = tuple[tuple[float, float, float, float], str, bool]


def load(
    annotations: Path, pictures: Path, classes: Sequence[str] | None = None, listed: Path | None = None
) -> DetectionSet:
    """Load a folder of VOC XML files and their folder or tar of pictures.

    VOC counts pixels from 1 and includes the last: x1 = xmin - 1, x2 = xmax. Classes are the names found,
    in alphabetical order, unless `classes` says otherwise. DataError names the first faults.
    """
    return to_detection_set(read(annotations, pictures, classes, listed))


def read(
    annotations: Path, pictures: Path, classes: Sequence[str] | None = None, listed: Path | None = None
) -> Annotations:
    """Read the folder with all its faults, for `check`. DataError only if it holds no XML at all."""
    files = annotation_files(annotations, SUFFIX)
    if not files:
        raise DataError(f"{annotations}: no folder with .xml files; name the folder of the VOC annotations")
    store = open_pictures(pictures)
    names = PictureNames(store)
    findings: list[Finding] = []
    chosen = None if listed is None else listed_pictures(listed, names, findings)
    stems = None if chosen is None else {stem_key(name) for name in chosen}
    read_files = [
        one
        for relative, path in files.items()
        if stems is None or stem_key(relative) in stems
        if (one := _read_file(path, relative, store, names, findings)) is not None
    ]
    findings += passed_over(annotations, SUFFIX, names, {stem_key(relative) for relative in files})
    unread = {name for relative in files for name in names.with_stem(stem_key(relative))}
    findings += not_annotated(chosen, names, {one.file_name for one in read_files} | unread)
    written = sorted({name for one in read_files for name in one.class_names})
    if pictures.resolve() != annotations.resolve():
        findings += unread_pictures(store)
    return Annotations(
        source=str(annotations),
        classes=choose_classes(classes, written),
        pictures_annotated=tuple(read_files),
        pictures=store,
        findings=tuple(findings),
    )


def _read_file(
    path: Path, relative: str, store: PictureStore, names: PictureNames, findings: list[Finding]
) -> AnnotatedPicture | None:
    try:
        root = _parse(path)
        file_name = _file_name(root, relative, names)
        written_hw = _size_hw(root)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        findings.append(Finding(Kind.BAD_ANNOTATION, relative, str(reason), "correct it, or export it again"))
        return None
    boxes: list[Box] = []
    for place, entry in enumerate(root.iterfind("object")):
        try:
            boxes.append(_box(entry))
        except ValueError as error:
            where = f"{relative}, object {place}"
            cure = "give it name and bndbox with xmin, ymin, xmax, ymax"
            findings.append(Finding(Kind.BAD_ANNOTATION, where, str(error), cure))
    return AnnotatedPicture(
        file_name=file_name,
        where=relative,
        boxes_xyxy=np.array([box for box, _, _ in boxes], np.float64).reshape(-1, 4),
        class_names=tuple(name for _, name, _ in boxes),
        difficult=np.array([difficult for _, _, difficult in boxes], np.bool_),
        size_hw=checked_size_hw(store, file_name, relative, written_hw, findings),
    )


def _parse(path: Path) -> ElementTree.Element:
    """Return the element `annotation`, its tags in lower case and without namespace. ValueError says what
    else the file is."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1_000_000} MB")
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, LookupError, ValueError, RecursionError) as error:
        # LookupError: an encoding that Python does not know.
        raise ValueError(f"not readable XML: {error}") from None
    boxes = 0
    for entry in root.iter():
        entry.tag = entry.tag.rpartition("}")[2].strip().lower() if isinstance(entry.tag, str) else ""
        boxes += entry.tag in ("bndbox", "box")
    if root.tag != "annotation":
        raise ValueError(f"its outermost element is {quoted(root.tag)}, not VOC's 'annotation'")
    if boxes > MOST_BOXES:
        raise ValueError(f"it holds {boxes} boxes, more than {MOST_BOXES}")
    understood = len(root.findall("object/bndbox")) + len(root.findall("object/part/bndbox"))
    if boxes != understood:
        raise ValueError(
            f"{boxes - understood} of its {boxes} boxes are not where VOC has them: annotation/object/bndbox"
        )
    for entry in root:
        if entry.tag not in _KNOWN and sum(_is_number(one.text) for one in entry.iter()) >= 4:
            raise ValueError(f"its element {quoted(entry.tag)} may hold boxes, and is not VOC's")
    return root


def _is_number(text: str | None) -> bool:
    try:
        return math.isfinite(number((text or "").strip()))
    except ValueError:
        return False


def _box(entry: ElementTree.Element) -> Box:
    name = _text(entry, "name")
    if not name:
        raise ValueError("name is missing")
    if len(entry.findall("bndbox")) > 1:
        raise ValueError("it has more than one bndbox")
    xmin, ymin, xmax, ymax = (_number(entry, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
    try:
        difficult = flag(_text(entry, "difficult"))
    except ValueError as error:
        raise ValueError(f"difficult: {error}") from None
    return (xmin - 1, ymin - 1, xmax, ymax), name, difficult


def _text(entry: ElementTree.Element, key: str) -> str:
    """The text at `key`, "" if it is not there. ValueError if it is there twice."""
    found = entry.findall(key)
    if len(found) > 1:
        raise ValueError(f"{key} is there {len(found)} times")
    return (found[0].text or "").strip() if found else ""


def _number(entry: ElementTree.Element, key: str) -> float:
    text = _text(entry, key)
    if not text:
        raise ValueError(f"{key} is missing")
    try:
        return number(text)
    except ValueError:
        raise ValueError(f"{key} is {quoted(text)}, not a number") from None


def _file_name(root: ElementTree.Element, relative: str, names: PictureNames) -> str:
    """Return the picture that is named like the XML file, or else the one that the XML names.

    ValueError if both are there and are not the same: a copied file may name the picture of another.
    """
    written = _text(root, "filename").replace("\\", "/")
    beside = names.with_stem(stem_key(relative))
    named = names.find(written) if written else None
    if named in beside and named is not None:
        return named
    same = [name for name in beside if name.rpartition("/")[2] == written.rpartition("/")[2]]
    if len(same) == 1:
        return same[0]
    if named is not None and beside:
        raise ValueError(f"it names {named}, but {beside[0]} is there too, which is named like it")
    if len(beside) > 1:
        raise ValueError(f"{shown(beside)} are all named like it")
    return named or (beside[0] if beside else written or str(stem_key(relative)) + ".jpg")


def _size_hw(root: ElementTree.Element) -> tuple[float, float] | None:
    """The size as written, None if it is not; 0 stands for unknown. ValueError if it is no size."""
    written = [_text(root, f"size/{key}") for key in ("height", "width")]
    if not any(written):
        return None
    height, width = (_number(root, f"size/{key}") for key in ("height", "width"))
    return (height, width) if (height, width) != (0, 0) else None
