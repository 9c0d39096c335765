"""The PR-curve picture: it shows what it should, and says so if it cannot be written."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tombola.errors import OutputError
from tombola.train.drawing.metric_curves import draw_precision_recall
from tombola.train.metrics.average_precision import DetectionScores, voc07_map
from tombola.train.metrics.matching import Prediction, Truth


def scores_of(classes: int, right: bool) -> DetectionScores:
    boxes = np.array([[0, 0, 10, 10]] * classes) + np.arange(classes)[:, None] * 50
    labels = np.arange(classes)
    found = Prediction(boxes if right else boxes + 25, np.full(classes, 0.9), labels)
    truth = Truth(boxes, labels, np.zeros(classes, np.bool_))
    return voc07_map([found], [truth], [f"class {label}" for label in range(classes)])


def blue_share(path: Path) -> float:
    """Share of pixels in the colour of the area under a curve."""
    image_bgr_u8 = cv2.imread(str(path))
    assert image_bgr_u8 is not None
    return float((np.abs(image_bgr_u8.astype(int) - (0xF0, 0xE3, 0xCF)).max(axis=2) < 4).mean())


@pytest.mark.parametrize("classes", [1, 7])
def test_a_perfect_detector_fills_its_panels_and_a_wrong_one_does_not(tmp_path: Path, classes: int) -> None:
    draw_precision_recall(scores_of(classes, right=True), tmp_path / "good.png")
    draw_precision_recall(scores_of(classes, right=False), tmp_path / "bad.png")
    assert blue_share(tmp_path / "good.png") > 0.3
    assert blue_share(tmp_path / "bad.png") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.png", "good.png"]


def test_no_truths_and_no_classes_are_drawn_too(tmp_path: Path) -> None:
    nothing = Truth(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    stray = Prediction(np.array([[0, 0, 9, 9]]), np.array([0.9]), np.zeros(1, np.int64))
    draw_precision_recall(voc07_map([stray], [nothing], ["cat"]), tmp_path / "empty.png")
    draw_precision_recall(voc07_map([], [], []), tmp_path / "none.png")
    assert blue_share(tmp_path / "empty.png") == 0
    assert blue_share(tmp_path / "none.png") == 0


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/curve\.png cannot be written"):
        draw_precision_recall(scores_of(1, right=True), tmp_path / "file" / "curve.png")
    with pytest.raises(OutputError, match=r"curve\.txtt does not end in \.png or \.svg or \.pdf"):
        draw_precision_recall(scores_of(1, right=True), tmp_path / "curve.txtt")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    draw_precision_recall(scores_of(1, right=True), tmp_path / "missing" / "curve.svg")
    assert (tmp_path / "missing" / "curve.svg").read_text().startswith("<?xml")
