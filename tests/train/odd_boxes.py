"""A set of two pictures whose boxes are written down in odd ways."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tombola.errors import DataError
from tombola.train.data.boxes.annotations import Annotations
from tombola.train.data.boxes.check import check
from tombola.train.data.boxes.detection_set import DetectionSet


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


def stopping(annotations: Annotations) -> list[str]:
    return [f"{one.where}: {one.what}" for one in check(annotations) if one.kind.stops_training]


def refused(annotations: Annotations, words: str) -> None:
    """`data check` and training both refuse it."""
    from tombola.train.data.boxes.annotations import to_detection_set

    assert any(words in line for line in stopping(annotations)), stopping(annotations)
    with pytest.raises(DataError) as caught:
        to_detection_set(annotations)
    assert words in str(caught.value)


def boxes_of(one: DetectionSet, name: str = "a.png") -> list[list[float]]:
    (record,) = [record for record in one.records if record.file_name == name]
    rounded: list[list[float]] = np.round(record.boxes_xyxy.astype(float), 2).tolist()
    return rounded


BOX = {"bbox": [10, 20, 30, 40]}


def write_coco(folder: Path, box: dict[str, Any], image: dict[str, Any] | None = None, **more: Any) -> Path:
    content = {
        "images": [{"id": 1, "file_name": "a.png", **(image or {})}],
        "annotations": [{"image_id": 1, "category_id": 1, **box}],
        "categories": [{"id": 1, "name": "cat"}],
        **more,
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder / "boxes.json"


OBJECT = (
    "<object><name>cat</name><difficult>{difficult}</difficult>"
    "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>"
)


def write_voc(folder: Path, text: str, name: str = "a.xml") -> Path:
    (folder / "xml").mkdir(exist_ok=True)
    (folder / "xml" / name).write_text(text)
    return folder / "xml"


def voc_text(inside: str = OBJECT.format(difficult=0), file_name: str = "a.png") -> str:
    return f"<annotation><filename>{file_name}</filename>{inside}</annotation>"


def write_yolo(folder: Path, text: str, yaml: str = "names: [cat, dog]") -> Path:
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "a.txt").write_text(text)
    (folder / "data.yaml").write_text(yaml)
    return folder / "labels"
