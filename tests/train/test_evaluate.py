"""Scoring of whatever answers as a network does; runs are scored in the tests of their tasks."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.evaluate import Named, evaluate_model
from tombola.train.metrics.classification import ClassificationScores
from tombola.train.metrics.matching import Prediction
from tombola.train.tasks.detect.scoring import DetectorScores


def test_a_function_that_finds_every_red_box_has_half_the_mean(toy_data: Path) -> None:
    """Red boxes are exact unless a blue one covers a part of them; no blue one is found."""

    def reds(image_rgb_u8: NDArray[np.uint8]) -> Prediction:
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
