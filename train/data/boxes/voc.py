"""Pascal VOC XML: one file a picture."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
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
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.pictures.pictures import PictureStore, open_pictures

Box = tuple[tuple[float, float, float, float], str, bool]


def load(annotations: Path, pictures: Path, classes: Sequence[str] | None = None) -> DetectionSet:
    """Load a folder of VOC XML files and their folder or tar of pictures.

    VOC counts pixels from 1 and includes the last: x1 = xmin - 1, x2 = xmax. Classes are the names found,
    in alphabetical order, unless `classes` says otherwise. DataError names the first faults.
    """
    return to_detection_set(read(annotations, pictures, classes))


def read(annotations: Path, pictures: Path, classes: Sequence[str] | None = None) -> Annotations:
    """Read the folder with all its faults, for `check`. DataError only if it holds no XML at all."""
    files = sorted(annotations.rglob("*.xml")) if annotations.is_dir() else []
    if not files:
        raise DataError(f"{annotations}: no folder with .xml files; name the folder of the VOC annotations")
    store = open_pictures(pictures)
    by_stem = {str(PurePosixPath(name).with_suffix("")): name for name in store.names()}
    findings: list[Finding] = []
    read_files = [
        one
        for path in files
        if (one := _read_file(path, path.relative_to(annotations), store, by_stem, findings)) is not None
    ]
    written = sorted({name for one in read_files for name in one.class_names})
    return Annotations(
        source=str(annotations),
        classes=choose_classes(classes, written),
        pictures_annotated=tuple(read_files),
        pictures=store,
        findings=tuple(findings),
    )


def _read_file(
    path: Path, relative: Path, store: PictureStore, by_stem: dict[str, str], findings: list[Finding]
) -> AnnotatedPicture | None:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError) as error:
        findings.append(
            Finding(Kind.BAD_ANNOTATION, str(relative), f"not readable XML: {error}", "export it again")
        )
        return None
    boxes: list[Box] = []
    for number, entry in enumerate(root.iterfind("object")):
        try:
            boxes.append(_box(entry))
        except ValueError as error:
            where = f"{relative}, object {number}"
            cure = "give it name and bndbox with xmin, ymin, xmax, ymax"
            findings.append(Finding(Kind.BAD_ANNOTATION, where, str(error), cure))
    return AnnotatedPicture(
        file_name=_file_name(root, relative, store, by_stem),
        where=str(relative),
        boxes_xyxy=np.array([box for box, _, _ in boxes], np.float64).reshape(-1, 4),
        class_names=tuple(name for _, name, _ in boxes),
        difficult=np.array([difficult for _, _, difficult in boxes], np.bool_),
        size_hw=_size_hw(root),
    )


def _box(entry: ElementTree.Element) -> Box:
    name = (entry.findtext("name") or "").strip()
    if not name:
        raise ValueError("name is missing")
    xmin, ymin, xmax, ymax = (_number(entry, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
    difficult = (entry.findtext("difficult") or "0").strip() not in ("0", "", "Unspecified", "false")
    return (xmin - 1, ymin - 1, xmax, ymax), name, difficult


def _number(entry: ElementTree.Element, key: str) -> float:
    text = entry.findtext(key)
    if text is None:
        raise ValueError(f"{key} is missing")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{key} is {text!r}, not a number") from None


def _file_name(
    root: ElementTree.Element, relative: Path, store: PictureStore, by_stem: dict[str, str]
) -> str:
    """Return the name that the XML gives, or if that is not there, the picture named like the XML file."""
    written = (root.findtext("filename") or "").strip()
    if written and written in store:
        return written
    return by_stem.get(
        relative.with_suffix("").as_posix(), written or relative.with_suffix(".jpg").as_posix()
    )


def _size_hw(root: ElementTree.Element) -> tuple[int, int] | None:
    try:
        height, width = int(_number(root, "size/height")), int(_number(root, "size/width"))
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None
