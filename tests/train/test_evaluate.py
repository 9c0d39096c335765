"""Scoring of whatever answers as a network does; runs are scored in the tests of their tasks."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tombola.errors import DataError, RecipeError
from tombola.runtime.pictures.picture import Picture, read_picture
from tombola.runtime.pictures.shrink import Shrink, halve
from tombola.train.evaluate import Named, evaluate_model
from tombola.train.metrics.classification import ClassificationScores
from tombola.train.metrics.matching import Prediction
from tombola.train.tasks.detect.scoring import DetectorScores
from tombola.train.tasks.table import load_network


def test_a_function_that_finds_every_red_box_has_half_the_mean(toy_data: Path) -> None:
    """Red boxes are exact unless a blue one covers a part of them; no blue one is found."""

    def reds(picture: Picture) -> Prediction:
        image_rgb_u8 = picture.image_rgb_u8
        rows, columns = np.nonzero((image_rgb_u8 == (220, 30, 30)).all(axis=2))
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 1, 1]
        return Prediction(np.array([box], np.float32), np.array([0.9], np.float32), np.array([0]))

    told: list[tuple[int, int]] = []
    named = Named(toy_data / "pictures", toy_data / "boxes.json", folds=["!0/4"])
    scores = evaluate_model(
        "detect", reds, ["red", "blue"], named, tell=lambda done, total: told.append((done, total))
    )
    assert isinstance(scores, DetectorScores)
    assert scores.pictures == 9
    assert told == [(n, 9) for n in range(1, 10)]
    assert scores.voc07.average_precision[1] == 0
    assert scores.voc07.average_precision[0] > 0.5
    assert scores.voc07.mean_average_precision == pytest.approx(scores.voc07.average_precision[0] / 2)


def test_a_function_that_always_says_three_is_right_once_in_ten(digits_data: Path) -> None:
    answer = np.zeros(10, np.float32)
    answer[3] = 1
    named = Named(digits_data / "test-images.gz", digits_data / "test-labels.gz")
    scores = evaluate_model("classify", lambda _: answer, [str(n) for n in range(10)], named)
    assert isinstance(scores, ClassificationScores)
    assert (scores.pictures, scores.accuracy) == (100, 0.1)


def test_boxes_that_are_not_said_are_told(toy_data: Path) -> None:
    with pytest.raises(DataError, match="give their annotations too"):
        evaluate_model("detect", lambda _: None, ["red", "blue"], Named(toy_data / "pictures"))


def test_a_large_jpeg_is_scored_on_the_pixels_that_the_runtime_reads(tmp_path: Path) -> None:
    """Decoded at a quarter, which is not the same as decoded and then halved twice."""
    noise = np.random.default_rng(2).integers(0, 256, (240, 320, 3), np.uint8)
    path = tmp_path / "red" / "a.jpg"
    path.parent.mkdir()
    cv2.imwrite(str(path), noise)
    boxes = tmp_path / "boxes.json"
    boxes.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg", "height": 240, "width": 320}],
                "categories": [{"id": 1, "name": "red"}],
                "annotations": [{"image_id": 1, "category_id": 1, "bbox": [40, 80, 120, 100]}],
            }
        )
    )
    shrink, seen = Shrink((80, 80), "longer"), list[Picture]()

    def exact(picture: Picture) -> Prediction:
        seen.append(picture)
        return Prediction(
            np.array([[40, 80, 160, 180]], np.float32), np.array([0.9], np.float32), np.array([0])
        )

    def sure(picture: Picture) -> np.ndarray:
        seen.append(picture)
        return np.ones(1, np.float32)

    found = evaluate_model("detect", exact, ["red"], Named(path.parent, boxes), shrink=shrink)
    named = evaluate_model("classify", sure, ["red"], Named(tmp_path, format_name="folder"), shrink=shrink)
    assert isinstance(found, DetectorScores)
    assert isinstance(named, ClassificationScores)
    assert (found.voc07.mean_average_precision, named.accuracy) == (1, 1)
    wanted = read_picture(path, shrink)
    assert (wanted.size_hw, wanted.halvings) == ((240, 320), 2)
    assert (wanted.image_rgb_u8 != halve(read_picture(path, None).image_rgb_u8, 2)).any()
    for picture in seen:
        assert (picture.size_hw, picture.halvings) == ((240, 320), 2)
        np.testing.assert_array_equal(picture.image_rgb_u8, wanted.image_rgb_u8)


def test_only_how_it_answers_can_be_changed_of_a_run(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"network\.width=2 would make another network"):
        load_network(tmp_path, changes=["answer.beam_size=3", "network.width=2"])
