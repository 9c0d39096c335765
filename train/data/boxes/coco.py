"""COCO JSON: one file with `images`, `annotations` and `categories`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
from tombola.train.data.pictures.pictures import open_pictures


def load(annotations: Path, pictures: Path, classes: Sequence[str] | None = None) -> DetectionSet:
    """Load a COCO JSON file and its folder or tar of pictures.

    Classes are the categories ordered by id unless `classes` says otherwise. `difficult: 1` and
    `iscrowd: 1` both make a box difficult. DataError names the first faults.
    """
    return to_detection_set(read(annotations, pictures, classes))


def read(annotations: Path, pictures: Path, classes: Sequence[str] | None = None) -> Annotations:
    """Read the file with all its faults, for `check`. DataError only if it is not COCO JSON at all."""
    content = _content(annotations)
    findings: list[Finding] = []
    names = _category_names(content["categories"], annotations, findings)
    images = _by_id(content["images"], annotations, findings)
    boxes: dict[Any, list[tuple[list[float], str, bool]]] = {image_id: [] for image_id in images}
    for number, entry in enumerate(content["annotations"]):
        where = f"{annotations.name}, annotation {number}"
        try:
            image_id = entry["image_id"]
            x, y, width, height = (float(value) for value in entry["bbox"])
            name = names.get(entry["category_id"], f"category {entry['category_id']}")
            difficult = bool(entry.get("difficult", 0)) or bool(entry.get("iscrowd", 0))
            if image_id not in images:
                raise ValueError(f"its image_id {image_id} is not among the images")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            findings.append(_unreadable(where, error, "give it image_id, category_id and bbox [x, y, w, h]"))
            continue
        boxes[image_id].append(([x, y, x + width, y + height], name, difficult))
    return Annotations(
        source=str(annotations),
        classes=choose_classes(classes, list(names.values())),
        pictures_annotated=tuple(
            AnnotatedPicture(
                file_name=image["file_name"].removeprefix("./"),
                where=f"{annotations.name}, image {image_id} ({image['file_name']})",
                boxes_xyxy=np.array([box for box, _, _ in boxes[image_id]], np.float64).reshape(-1, 4),
                class_names=tuple(name for _, name, _ in boxes[image_id]),
                difficult=np.array([difficult for _, _, difficult in boxes[image_id]], np.bool_),
                size_hw=_size_hw(image),
            )
            for image_id, image in images.items()
        ),
        pictures=open_pictures(pictures),
        findings=tuple(findings),
    )


def _content(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}; export the annotations again") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{path} is not in COCO's form: it has no list {key!r}; export it as COCO JSON")
    return dict(content)


def _category_names(entries: list[Any], path: Path, findings: list[Finding]) -> dict[Any, str]:
    names: dict[Any, str] = {}
    for number, entry in enumerate(entries):
        try:
            names[entry["id"]] = str(entry["name"])
        except (KeyError, TypeError) as error:
            findings.append(_unreadable(f"{path.name}, category {number}", error, "give it id and name"))
    return dict(sorted(names.items(), key=lambda item: (str(type(item[0])), item[0])))


def _by_id(entries: list[Any], path: Path, findings: list[Finding]) -> dict[Any, dict[str, Any]]:
    images: dict[Any, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        where = f"{path.name}, images[{number}]"
        try:
            image_id, file_name = entry["id"], entry["file_name"]
            if not isinstance(file_name, str):
                raise TypeError(f"file_name is {file_name!r}")
            if image_id in images:
                raise ValueError(f"id {image_id} is taken by {images[image_id]['file_name']}")
            images[image_id] = entry
        except (KeyError, TypeError, ValueError) as error:
            findings.append(_unreadable(where, error, "give it its own id and a file_name"))
    return images


def _size_hw(image: dict[str, Any]) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return height, width
    return None


def _unreadable(where: str, error: Exception, cure: str) -> Finding:
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return Finding(Kind.BAD_ANNOTATION, where, what, cure)
