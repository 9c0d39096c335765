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
from tombola.train.data.boxes.passed_over import not_annotated, unread_pictures
from tombola.train.data.boxes.picture_size import checked_size_hw
from tombola.train.data.boxes.readers.coco_segmentation import Box, bounding_box
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.pictures.picture_list import listed_pictures
from tombola.train.data.pictures.picture_names import PictureNames
from tombola.train.data.pictures.pictures import open_pictures
from tombola.train.data.text import LONGEST_NAME, flag, number, quoted, whole
from tombola.train.recipe.text_file import read_text

MOST_BYTES = 4_000_000_000
Identity = int | str


def load(
    annotations: Path, pictures: Path, classes: Sequence[str] | None = None, listed: Path | None = None
) -> DetectionSet:
    """Load a COCO JSON file and its folder or tar of pictures.

    Classes are the categories ordered by id unless `classes` says otherwise. `difficult: 1` and
    `iscrowd: 1` both make a box difficult. An object without `bbox` has the bounding box of its
    `segmentation`. DataError names the first faults.
    """
    return to_detection_set(read(annotations, pictures, classes, listed))


def read(
    annotations: Path, pictures: Path, classes: Sequence[str] | None = None, listed: Path | None = None
) -> Annotations:
    """Read the file with all its faults, for `check`. DataError only if it is not COCO JSON at all."""
    content = _content(annotations)
    findings: list[Finding] = []
    names = _category_names(content["categories"], annotations, findings)
    images = _by_id(content["images"], annotations, findings)
    boxes: dict[Identity, list[tuple[Box, str, bool]]] = {image_id: [] for image_id in images}
    for place, entry in enumerate(content["annotations"]):
        try:
            image_id, box = _object(entry, names)
            if image_id not in images:
                raise ValueError(f"its image_id {quoted(image_id)} is not among the images")
        except ValueError as error:
            where, cure = f"{annotations.name}, annotation {place}", "correct it, or remove the entry"
            findings.append(Finding(Kind.BAD_ANNOTATION, where, str(error), cure))
            continue
        boxes[image_id].append(box)
    store = open_pictures(pictures)
    spelt = PictureNames(store)
    chosen = None if listed is None else listed_pictures(listed, spelt, findings)
    annotated = []
    for image_id, image in images.items():
        file_name = spelt.find(image["file_name"]) or image["file_name"].removeprefix("./")
        if chosen is not None and file_name not in chosen:
            continue
        where = f"{annotations.name}, image {image_id} ({image['file_name'][:LONGEST_NAME]})"
        annotated.append(
            AnnotatedPicture(
                file_name=file_name,
                where=where,
                boxes_xyxy=np.array([box for box, _, _ in boxes[image_id]], np.float64).reshape(-1, 4),
                class_names=tuple(name for _, name, _ in boxes[image_id]),
                difficult=np.array([difficult for _, _, difficult in boxes[image_id]], np.bool_),
                size_hw=checked_size_hw(store, file_name, where, _size_hw(image, where, findings), findings),
                image_id=image_id,
            )
        )
    findings += unread_pictures(store)
    findings += not_annotated(chosen, spelt, {one.file_name for one in annotated})
    return Annotations(
        source=str(annotations),
        classes=choose_classes(classes, list(names.values())),
        pictures_annotated=tuple(annotated),
        pictures=store,
        findings=tuple(findings),
        category_ids={name: category_id for category_id, name in reversed(names.items())},
    )


def _content(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(read_text(path, MOST_BYTES))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}; export the annotations again") from error
    except MemoryError:
        raise DataError(f"{path} needs more memory than there is; split it") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{path} is not in COCO's form: it has no list {key!r}; export it as COCO JSON")
    return dict(content)


def _value(entry: object, key: str) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(f"it is {quoted(entry)}, not an object with {key!r}")
    if entry.get(key) is None:
        raise ValueError(f"{key!r} is missing")
    return entry[key]


def _identity(entry: object, key: str) -> Identity:
    """Return an id: a whole number in any notation as a number, another text as it is."""
    value = _value(entry, key)
    try:
        return whole(value)
    except ValueError:
        if isinstance(value, int | str) and not isinstance(value, bool):
            return value
        raise ValueError(f"{key} is {quoted(value)}, neither number nor text") from None


def _object(entry: object, names: dict[Identity, str]) -> tuple[Identity, tuple[Box, str, bool]]:
    """Return the image's id; box x1 y1 x2 y2, class name and difficult. ValueError says what is wrong."""
    image_id, category_id = _identity(entry, "image_id"), _identity(entry, "category_id")
    assert isinstance(entry, dict)  # _identity has looked
    bbox = entry.get("bbox")
    if not bbox and bbox != {} and entry.get("segmentation"):
        box = bounding_box(entry["segmentation"])
    else:
        bbox = _value(entry, "bbox")
        if not isinstance(bbox, list) or len(bbox) != 4:
            raise ValueError(f"bbox is {quoted(bbox)}; it needs 4 numbers: x, y, width, height")
        try:
            x, y, width, height = map(number, bbox)
        except ValueError as error:
            raise ValueError(f"bbox: {error}") from None
        box = x, y, x + width, y + height
    try:
        difficult = flag(entry.get("difficult")) or flag(entry.get("iscrowd"))
    except ValueError as error:
        raise ValueError(f"difficult or iscrowd: {error}") from None
    return image_id, (box, names.get(category_id, f"category {quoted(category_id)}"), difficult)


def _category_names(entries: list[Any], path: Path, findings: list[Finding]) -> dict[Identity, str]:
    names: dict[Identity, str] = {}
    for place, entry in enumerate(entries):
        try:
            category_id, name = _identity(entry, "id"), _value(entry, "name")
            if not isinstance(name, str | int) or isinstance(name, bool) or not str(name).strip():
                raise ValueError(f"name is {quoted(name)}, not a text")
            if names.setdefault(category_id, str(name)) != str(name):
                raise ValueError(f"id {quoted(category_id)} is taken by {quoted(names[category_id])}")
        except ValueError as error:
            where, cure = f"{path.name}, category {place}", "give it an id of its own and a name"
            findings.append(Finding(Kind.BAD_ANNOTATION, where, str(error), cure))
    return dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _by_id(entries: list[Any], path: Path, findings: list[Finding]) -> dict[Identity, dict[str, Any]]:
    images: dict[Identity, dict[str, Any]] = {}
    for place, entry in enumerate(entries):
        try:
            image_id, file_name = _identity(entry, "id"), _value(entry, "file_name")
            if not isinstance(file_name, str):
                raise ValueError(f"file_name is {quoted(file_name)}")
            if image_id in images:
                raise ValueError(f"id {quoted(image_id)} is taken by {images[image_id]['file_name']}")
            images[image_id] = entry
        except ValueError as error:
            where, cure = f"{path.name}, images[{place}]", "give it its own id and a file_name"
            findings.append(Finding(Kind.BAD_ANNOTATION, where, str(error), cure))
    return images


def _size_hw(image: dict[str, Any], where: str, findings: list[Finding]) -> tuple[float, float] | None:
    """The size as written, None if it is not; 0 stands for unknown."""
    try:
        height, width = (number(image.get(key) or 0) for key in ("height", "width"))
    except ValueError as error:
        cure = "write height and width in pixels, or leave them out"
        findings.append(Finding(Kind.BAD_ANNOTATION, where, f"its size: {error}", cure))
        return None
    return (height, width) if height and width else None
