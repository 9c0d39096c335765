"""COCO annotations as tools really write them: read right, or a fault; never a picture without its boxes."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.train.odd_boxes import BOX, boxes_of, picture, refused, write_coco
from tombola.train.data.boxes.readers import coco


@pytest.mark.parametrize("size", [{}, {"width": 100.0, "height": 80.0}, {"width": "100", "height": "80"}])
def test_a_box_outside_is_found_however_the_size_is_written(
    tmp_path: Path, photos: Path, size: dict[str, Any]
) -> None:
    path = write_coco(tmp_path, {"bbox": [90, 70, 60, 60]}, size)
    refused(coco.read(path, photos), "reaches out of the picture of 100×80 px")
    assert boxes_of(coco.load(write_coco(tmp_path, BOX, size), photos)) == [[10, 20, 40, 60]]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"width": 200, "height": 160}, "a.png is 100×80 px, annotated as 200×160"),
        ({"width": 100.5, "height": 80}, "annotated as 100.5×80"),
        ({"width": "wide", "height": 80}, "its size: 'wide' is not a number"),
        ({"width": 10**900, "height": 80}, "its size: "),
        ({"width": [100], "height": 80}, "its size: [100] is not a number"),
        ({"width": -100, "height": -80}, "annotated as -100×-80"),
    ],
)
def test_a_size_that_is_not_the_pictures_is_a_fault(
    tmp_path: Path, photos: Path, size: dict[str, Any], words: str
) -> None:
    refused(coco.read(write_coco(tmp_path, BOX, size), photos), words)


def test_ids_may_be_texts(tmp_path: Path, photos: Path) -> None:
    path = write_coco(
        tmp_path, {**BOX, "image_id": "1", "category_id": "1"}, categories=[{"id": 1.0, "name": "cat"}]
    )
    assert boxes_of(coco.load(path, photos)) == [[10, 20, 40, 60]]
    path = write_coco(tmp_path, {**BOX, "image_id": "a"}, {"id": "a"})
    assert boxes_of(coco.load(path, photos)) == [[10, 20, 40, 60]]


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ({"bbox": []}, "bbox is []; it needs 4 numbers"),
        ({"bbox": [10**400, 1, 1, 1]}, "bbox: "),
        ({"bbox": [1, 1, None, 1]}, "bbox: None is not a number"),
        ({"bbox": [1, 1, True, 1]}, "bbox: True is not a number"),
        ({"bbox": {"x": 1}}, "bbox is {'x': 1}; it needs 4 numbers"),
        ({"bbox": None}, "'bbox' is missing"),
        ({**BOX, "image_id": True}, "image_id is True"),
        ({**BOX, "image_id": float("nan")}, "image_id is nan"),
        ({**BOX, "iscrowd": "maybe"}, "difficult or iscrowd: 'maybe' is neither"),
        ({"bbox": [], "segmentation": [[1, 2, 3]]}, "segmentation holds [1, 2, 3]"),
        ({"segmentation": [[1, 2, 3, 4, 5, "x"]]}, "segmentation: 'x' is not a number"),
        ({"segmentation": {"size": [5], "counts": []}}, "segmentation.size is [5]"),
        ({"segmentation": {"size": [5, 5], "counts": [20, 20]}}, "do not fit its size"),
        ({"segmentation": {"size": [5, 5], "counts": [25]}}, "not one pixel"),
        ({"segmentation": {"size": [5, 5], "counts": "\x7f"}}, "segmentation.counts holds"),
        ({"segmentation": 7}, "segmentation is 7"),
    ],
)
def test_odd_entries_of_coco_are_named(tmp_path: Path, photos: Path, box: dict[str, Any], words: str) -> None:
    refused(coco.read(write_coco(tmp_path, box), photos), words)


@pytest.mark.parametrize("word", ["0", "False", "no", 0.0, None, False])
def test_a_crowd_flag_may_be_a_word(tmp_path: Path, photos: Path, word: object) -> None:
    one = coco.load(write_coco(tmp_path, {**BOX, "iscrowd": word}), photos)
    assert one.records[0].difficult.tolist() == [False]


def test_a_category_id_twice_is_a_fault(tmp_path: Path, photos: Path) -> None:
    path = write_coco(tmp_path, BOX, categories=[{"id": 1, "name": "cat"}, {"id": "1", "name": "dog"}])
    refused(coco.read(path, photos), "id 1 is taken by 'cat'")
    name: object
    for name in (None, "", [], True):
        path = write_coco(tmp_path, BOX, categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": name}])
        refused(coco.read(path, photos), "category 1: ")


def test_polygons_alone_give_their_bounding_box(tmp_path: Path, photos: Path) -> None:
    triangles = [[10, 20, 40, 20, 40, 30], [35, 25, 40, 60, 20, 30]]
    for box in ({"segmentation": triangles}, {"segmentation": triangles, "bbox": []}):
        assert boxes_of(coco.load(write_coco(tmp_path, box), photos)) == [[10, 20, 40, 60]]


def test_runs_of_pixels_alone_give_their_bounding_box(tmp_path: Path, photos: Path) -> None:
    """Held to pycocotools' own encoder, in both forms."""
    from faster_coco_eval.core import mask as reference

    rng = np.random.default_rng(5)
    for _ in range(30):
        mask = np.zeros((80, 100), np.uint8, order="F")
        y, x = int(rng.integers(0, 60)), int(rng.integers(0, 80))
        height, width = (int(side) for side in rng.integers(1, 20, 2))
        mask[y : y + height, x : x + width] = rng.random((height, width)) < 0.6
        if not mask.any():
            continue
        ys, xs = np.nonzero(mask)
        expected = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]
        packed = reference.encode(mask)
        flat = mask.flatten(order="F")
        ends = np.flatnonzero(np.diff(flat, prepend=0, append=flat[-1] ^ 1))
        plain = np.diff(ends, prepend=0).tolist()
        for counts in (packed["counts"].decode(), plain):
            entry = {"segmentation": {"size": [80, 100], "counts": counts}}
            assert boxes_of(coco.load(write_coco(tmp_path, entry), photos)) == expected


def test_a_name_may_have_backslashes_or_another_unicode_form(tmp_path: Path, photos: Path) -> None:
    picture(photos / "sub" / unicodedata.normalize("NFD", "café.png"))
    for written in ("sub\\caf\u00e9.png", ".\\sub\\caf\u00e9.png", "./sub/cafe\u0301.png"):
        one = coco.load(write_coco(tmp_path, BOX, {"file_name": written}), photos)
        assert one.records[0].file_name == unicodedata.normalize("NFD", "sub/café.png")
        assert one.read(0).shape == (80, 100, 3)


def test_a_name_beyond_all_limits_is_a_missing_picture(tmp_path: Path, photos: Path) -> None:
    for written in ("x" * 5000 + ".png", "x/" * 3000 + "a.png", "a\0.png", "\ud800.png"):
        refused(coco.read(write_coco(tmp_path, BOX, {"file_name": written}), photos), "is not in")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_coco_in_every_encoding(tmp_path: Path, photos: Path, encoding: str) -> None:
    path = write_coco(tmp_path, BOX)
    path.write_text(path.read_text(), encoding=encoding)
    assert boxes_of(coco.load(path, photos)) == [[10, 20, 40, 60]]
