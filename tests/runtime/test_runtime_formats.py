"""Boxes in the forms that other programs read."""

import csv
import json
from pathlib import Path

import numpy as np

from tombola.runtime.tasks.detect.answer import Detections
from tombola.runtime.tasks.detect.formats import CSV_HEADER, CocoDocument, csv_lines, cut_out, yolo_lines

FOUND = Detections(
    np.array([[10, 20, 50, 40], [-5, 0, 100, 90]], np.float32),
    np.array([0.9, 0.5], np.float32),
    np.array([1, 0]),
    ('a "dog", big', "cat"),
    (80, 100),
)
LABELS = ("cat", 'a "dog", big')


def test_coco_is_read_by_another_library(tmp_path: Path) -> None:
    from faster_coco_eval import COCO

    document = CocoDocument(LABELS)
    document.add("a.jpg", None, FOUND)
    document.add("clip.mp4", 7, FOUND)
    (tmp_path / "a.json").write_text(json.dumps(document.to_dict()))
    coco = COCO(str(tmp_path / "a.json"))
    assert [coco.cats[one]["name"] for one in (1, 2)] == list(LABELS)
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (first["bbox"], first["category_id"], first["area"], first["score"]) == (
        [10, 20, 40, 20],
        2,
        800,
        0.9,
    )
    assert (second["bbox"], second["category_id"]) == ([-5, 0, 105, 90], 1)
    assert coco.loadImgs([2])[0] == {"id": 2, "file_name": "clip.mp4", "width": 100, "height": 80, "frame": 7}


def test_csv_keeps_any_name() -> None:
    rows = list(csv.DictReader([",".join(CSV_HEADER), *csv_lines('b, "c".jpg', None, FOUND)]))
    assert [(row["source"], row["frame"], row["name"], row["label"]) for row in rows] == [
        ('b, "c".jpg', "", 'a "dog", big', "1"),
        ('b, "c".jpg', "", "cat", "0"),
    ]
    assert [float(rows[0][key]) for key in ("score", "x1", "y1", "x2", "y2", "width", "height")] == [
        0.9, 10, 20, 50, 40, 100, 80,
    ]  # fmt: skip


def test_yolo_is_centre_and_size_as_shares_and_stays_inside() -> None:
    assert yolo_lines(FOUND) == [
        "1 0.300000 0.375000 0.400000 0.250000",
        "0 0.500000 0.500000 1.000000 1.000000",
    ]


def test_things_are_cut_out_by_their_pixels() -> None:
    image = np.arange(80 * 100 * 3, dtype=np.uint32).astype(np.uint8).reshape(80, 100, 3)
    (first, dog), (second, cat) = cut_out(image, FOUND)
    assert (first.label, second.label) == (1, 0)
    np.testing.assert_array_equal(dog, image[20:40, 10:50])
    np.testing.assert_array_equal(cat, image)
