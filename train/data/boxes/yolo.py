"""YOLO txt: one file a picture, one line a box: class, then centre x, centre y, width, height in 0 … 1."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError, PictureError
from tombola.train.data.boxes.annotations import (
    AnnotatedPicture,
    Annotations,
    choose_classes,
    to_detection_set,
)
from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.data.boxes.yolo_names import NAME_FILES, find_names
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.pictures.picture_header import read_size_hw
from tombola.train.data.pictures.pictures import PictureStore, open_pictures


def load(annotations: Path, pictures: Path, classes: Sequence[str] | None = None) -> DetectionSet:
    """Load a folder of YOLO txt files and their folder or tar of pictures.

    a/b.txt belongs to the picture a/b.jpg (or any other ending); a picture without txt has no boxes. Class
    names come from data.yaml, classes.txt or obj.names in the folder or one of the two above it; `classes`
    orders them, and names them where there is no such file. Lines with a polygon become its bounding box.
    DataError names the first faults.
    """
    return to_detection_set(read(annotations, pictures, classes))


def read(annotations: Path, pictures: Path, classes: Sequence[str] | None = None) -> Annotations:
    """Read the folder with all its faults, for `check`. DataError if it holds no txt, or has no names."""
    files = _label_files(annotations)
    if not files:
        raise DataError(f"{annotations}: no folder with .txt files; name the folder of the YOLO labels")
    names = find_names(annotations) or _asked_names(annotations, classes)
    store = open_pictures(pictures)
    findings: list[Finding] = []
    annotated = []
    for picture in store.names():
        path = files.pop(str(PurePosixPath(picture).with_suffix("")), None)
        annotated.append(_read_file(path, picture, annotations, store, names, findings))
    for stem, path in files.items():
        where = path.relative_to(annotations).as_posix()
        what = f"no picture named {stem} in {store}"
        findings.append(Finding(Kind.MISSING_PICTURE, where, what, "copy it there or remove the txt file"))
    return Annotations(
        source=str(annotations),
        classes=choose_classes(classes, list(names.values())),
        pictures_annotated=tuple(annotated),
        pictures=store,
        findings=tuple(findings),
    )


def _asked_names(root: Path, classes: Sequence[str] | None) -> dict[int, str]:
    if classes is None:
        raise DataError(
            f"{root}: no class names found; put a classes.txt with one name a line beside the labels, "
            "or give `classes`"
        )
    return dict(enumerate(classes))


def _label_files(root: Path) -> dict[str, Path]:
    """Return {stem relative to root: path}."""
    files = sorted(root.rglob("*.txt")) if root.is_dir() else []
    return {
        path.relative_to(root).with_suffix("").as_posix(): path
        for path in files
        if path.name not in NAME_FILES
    }


def _read_file(
    path: Path | None,
    picture: str,
    root: Path,
    store: PictureStore,
    names: dict[int, str],
    findings: list[Finding],
) -> AnnotatedPicture:
    """Read the lines of one txt file; what cannot be read goes into `findings`."""
    where = picture if path is None else path.relative_to(root).as_posix()
    size_hw: tuple[int, int] | None = None
    try:
        size_hw = read_size_hw(store, picture)
    except (DataError, PictureError) as error:
        findings.append(Finding(Kind.UNREADABLE_PICTURE, picture, str(error), "replace or remove it"))
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path is not None else []
    except (OSError, ValueError) as error:
        findings.append(Finding(Kind.BAD_ANNOTATION, where, f"not readable: {error}", "export it again"))
        lines = []
    boxes: list[NDArray[np.float64]] = []
    class_names: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            label, box = _parse_line(line)
        except ValueError as error:
            cure = "write: class, centre x, centre y, width, height, all but the class in 0 … 1"
            findings.append(Finding(Kind.BAD_ANNOTATION, f"{where}, line {number}", str(error), cure))
            continue
        if size_hw is not None:
            boxes.append(box * np.array([size_hw[1], size_hw[0], size_hw[1], size_hw[0]]))
            class_names.append(names.get(label, f"number {label}"))
    return AnnotatedPicture(
        file_name=picture,
        where=where,
        boxes_xyxy=np.array(boxes, np.float64).reshape(-1, 4),
        class_names=tuple(class_names),
        difficult=np.zeros(len(boxes), np.bool_),
        size_hw=size_hw,
    )


def _parse_line(line: str) -> tuple[int, NDArray[np.float64]]:
    """Return the class number and x1 y1 x2 y2 as shares of the picture."""
    first, *rest = line.split()
    if not first.isdecimal():
        raise ValueError(f"class {first!r} is not a whole number from 0")
    try:
        values = np.array([float(text) for text in rest], np.float64)
    except ValueError:
        raise ValueError(f"{line.strip()!r} is not all numbers") from None
    if len(values) == 4:
        x, y, width, height = values
        return int(first), np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    if len(values) >= 6 and len(values) % 2 == 0:
        corners = values.reshape(-1, 2)
        return int(first), np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    raise ValueError(f"{line.strip()!r} has {len(values)} numbers after the class, not 4")
