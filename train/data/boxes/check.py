"""Everything that is wrong with a data set, at once, before an hour of training is lost on it."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tombola.errors import DataError, PictureError
from tombola.train.data.boxes.annotations import (
    AnnotatedPicture,
    Annotations,
    annotated_twice,
    emptiness,
    missing_pictures,
    picture_faults,
)
from tombola.train.data.boxes.picture_size import size_differs
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.leaks import Look, look
from tombola.train.data.pictures.pictures import PictureStore, decode_rgb
from tombola.train.data.text import quoted


def check(annotations: Annotations) -> list[Finding]:
    """Return every fault of the annotations and of the pictures, which are all decoded.

    Read the annotations with `formats.read`. Faults that a training refuses have `kind.stops_training`.
    """
    return look_over(annotations)[0]


def look_over(annotations: Annotations) -> tuple[list[Finding], dict[str, Look]]:
    """Return every fault, as `check` does, and by its name how each picture that can be read looks."""
    opened = _open_all(annotations)
    findings = [*annotations.findings, *missing_pictures(annotations), *annotated_twice(annotations)]
    for picture in annotations.pictures_annotated:
        findings += picture_faults(annotations, picture)
        findings += _duplicate_boxes(picture)
        if picture.file_name in opened:
            findings += _picture_against_annotation(picture, opened[picture.file_name])
    findings += _duplicate_pictures(opened)
    findings += _classes_without_boxes(annotations)
    findings += emptiness(annotations)
    looks = {name: one.look for name, one in opened.items() if one.look is not None}
    return list(dict.fromkeys(findings)), looks


@dataclass(frozen=True)
class _Opened:
    """One picture file: its upright size, or why it cannot be read, a hash of its bytes, and how it looks."""

    size_hw: tuple[int, int] | None
    trouble: str
    digest: bytes
    look: Look | None = None


def _open_all(annotations: Annotations) -> dict[str, _Opened]:
    names = dict.fromkeys(one.file_name for one in annotations.pictures_annotated)
    present = [name for name in names if name in annotations.pictures]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(
            zip(present, threads.map(lambda name: _open(annotations.pictures, name), present), strict=True)
        )


def _open(pictures: PictureStore, name: str) -> _Opened:
    try:
        data = pictures.read_bytes(name)
    except DataError as error:
        return _Opened(None, str(error), b"")
    digest = hashlib.sha256(data).digest()
    try:
        image_rgb_u8 = decode_rgb(data, name)
    except PictureError as error:
        return _Opened(None, str(error), digest)
    size_hw = image_rgb_u8.shape[0], image_rgb_u8.shape[1]
    return _Opened(size_hw, "", digest, look(name, digest, image_rgb_u8))


def _picture_against_annotation(picture: AnnotatedPicture, opened: _Opened) -> Iterator[Finding]:
    if opened.size_hw is None:
        yield Finding(Kind.UNREADABLE_PICTURE, picture.file_name, opened.trouble, "replace or remove it")
    elif picture.size_hw is not None and opened.size_hw != picture.size_hw:
        yield size_differs(picture.file_name, picture.where, picture.size_hw, opened.size_hw)


def _duplicate_boxes(picture: AnnotatedPicture) -> Iterator[Finding]:
    first: dict[tuple[str, tuple[float, ...]], int] = {}
    for number, (box, name) in enumerate(zip(picture.boxes_xyxy, picture.class_names, strict=True)):
        key = (name, tuple(np.round(box, 1).tolist()))
        if key in first:
            yield Finding(
                Kind.DUPLICATE_BOX,
                f"{picture.where}, box {number}",
                f"the same {name} as box {first[key]}",
                "remove one of them",
            )
        first.setdefault(key, number)


def _duplicate_pictures(opened: dict[str, _Opened]) -> Iterator[Finding]:
    first: dict[bytes, str] = {}
    for name, one in opened.items():
        if one.digest and one.digest in first:
            yield Finding(
                Kind.DUPLICATE_PICTURE,
                name,
                f"the same file as {first[one.digest]}",
                "remove one: a picture in both training and test makes the score too good",
            )
        first.setdefault(one.digest, name)


def _classes_without_boxes(annotations: Annotations) -> Iterator[Finding]:
    used = {name for picture in annotations.pictures_annotated for name in picture.class_names}
    for name in annotations.classes:
        if name not in used:
            yield Finding(
                Kind.CLASS_WITHOUT_BOXES,
                annotations.source,
                f"class {quoted(name)} has no box",
                "label some, or take it out of the classes",
            )
