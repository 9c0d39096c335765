"""COCO AP held to faster-coco-eval on random pictures, and to a few values worked by hand."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.train.metrics.coco import coco_map
from tombola.train.metrics.matching import Prediction, Truth

NAMES = [
    "AP",
    "AP50",
    "AP75",
    "AP_small",
    "AP_medium",
    "AP_large",
    "AR1",
    "AR10",
    "AR100",
    "AR_small",
    "AR_medium",
    "AR_large",
]


def reference(predictions: list[Prediction], truths: list[Truth], classes: int) -> tuple[NDArray[Any], Any]:
    """Return faster-coco-eval's twelve figures and its precision [T, R, K, A, M]; -1 where undefined."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for picture, (one, truth) in enumerate(zip(predictions, truths, strict=True), start=1):
        for box, label, crowd in zip(truth.boxes_xyxy, truth.labels, truth.difficult, strict=True):
            x1, y1, x2, y2 = (float(value) for value in box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": picture,
                    "category_id": int(label) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(crowd),
                }
            )
        for box, score, label in zip(one.boxes_xyxy, one.scores, one.labels, strict=True):
            x1, y1, x2, y2 = (float(value) for value in box)
            results.append(
                {
                    "image_id": picture,
                    "category_id": int(label) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": float(score),
                }
            )
    dataset = {
        "images": [{"id": i + 1, "width": 1000, "height": 1000} for i in range(len(truths))],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": str(i)} for i in range(classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO(dataset)
        evaluation = COCOeval_faster(ground, ground.loadRes(results), iouType="bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.array(evaluation.stats[:12], np.float64), evaluation.eval["precision"]


def random_pictures(
    rng: np.random.Generator, pictures: int, classes: int, crowds: float = 0.0, most: int = 15
) -> tuple[list[Prediction], list[Truth]]:
    """Whole-number boxes of all sizes; detections are shaken truths, strays and empty pictures."""
    predictions, truths = [], []
    for _ in range(pictures):
        shown, count = int(rng.integers(0, 7)), int(rng.integers(0, most))
        boxes = _boxes(rng, shown)
        labels = rng.integers(0, classes, shown)
        truths.append(Truth(boxes, labels, rng.random(shown) < crowds))
        found, found_labels = _boxes(rng, count), rng.integers(0, classes, count)
        if shown:
            copied = rng.random(count) < 0.8
            source = rng.integers(0, shown, copied.sum())
            found[copied] = boxes[source] + rng.integers(-3, 4, (len(source), 4))
            found_labels[copied] = np.where(
                rng.random(len(source)) < 0.9, labels[source], found_labels[copied]
            )
            found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        predictions.append(Prediction(found, rng.integers(1, 40, count) / 40, found_labels))
    return predictions, truths


def _boxes(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    corner = rng.integers(0, 300, (count, 2))
    return np.concatenate([corner, corner + rng.integers(4, 160, (count, 2))], axis=1).astype(np.float64)


def assert_agrees(predictions: list[Prediction], truths: list[Truth], classes: int) -> None:
    figures, precision = reference(predictions, truths, classes)
    ours = coco_map(predictions, truths, [str(label) for label in range(classes)])
    assert list(ours.summary()) == NAMES
    values = np.nan_to_num(np.array(list(ours.summary().values())), nan=-1)
    assert values == pytest.approx(figures, abs=1e-9)
    theirs = np.asarray(precision)[..., -1].transpose(3, 0, 1, 2)  # [A, T, R, K] at 100 detections
    assert np.nan_to_num(ours.precision, nan=-1) == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 4))
def test_agrees_with_faster_coco_eval(seed: int, pictures: int, classes: int) -> None:
    predictions, truths = random_pictures(np.random.default_rng(seed), pictures, classes)
    if any(len(one.scores) for one in predictions):  # the reference refuses an empty result
        assert_agrees(predictions, truths, classes)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_agrees_with_difficult_truths_as_crowds(seed: int, pictures: int) -> None:
    predictions, truths = random_pictures(np.random.default_rng(seed), pictures, 2, crowds=0.4)
    if any(len(one.scores) for one in predictions):
        assert_agrees(predictions, truths, 2)


def test_agrees_on_many_pictures_with_more_than_a_hundred_detections() -> None:
    predictions, truths = random_pictures(np.random.default_rng(1), 40, 2, crowds=0.1, most=350)
    assert max(np.bincount(one.labels).max(initial=0) for one in predictions) > 100
    assert_agrees(predictions, truths, 2)


def test_agrees_where_a_class_has_no_truths_and_another_no_detections() -> None:
    predictions, truths = random_pictures(np.random.default_rng(2), 12, 2)
    predictions = [Prediction(p.boxes_xyxy, p.scores, np.where(p.labels == 1, 2, 0)) for p in predictions]
    assert_agrees(predictions, truths, 3)


def one(box: list[float], score: float = 0.9) -> Prediction:
    return Prediction(np.array([box]), np.array([score]), np.zeros(1, np.int64))


def there(box: list[float], difficult: bool = False) -> Truth:
    return Truth(np.array([box]), np.zeros(1, np.int64), np.array([difficult]))


def test_an_overlap_of_three_quarters_is_right_at_six_of_ten_thresholds() -> None:
    # IoU 0.76 passes 0.50, 0.55, 0.60, 0.65, 0.70 and 0.75.
    figures = coco_map([one([0, 0, 100, 76])], [there([0, 0, 100, 100])], ["cat"]).summary()
    assert figures["AP"] == pytest.approx(0.6)
    assert figures["AP50"] == figures["AP75"] == pytest.approx(1.0)
    assert figures["AP_large"] == pytest.approx(0.6)
    assert np.isnan(figures["AP_small"])


def test_many_detections_inside_a_difficult_box_do_not_count() -> None:
    inside = Prediction(
        np.array([[0, 0, 50, 50], [50, 50, 100, 100], [200, 200, 240, 240]]), np.array([0.9, 0.8, 0.7]),
        np.zeros(3, np.int64),
    )  # fmt: skip
    truth = Truth(
        np.array([[0, 0, 100, 100], [200, 200, 240, 240]]), np.zeros(2, np.int64), np.array([True, False])
    )
    assert coco_map([inside], [truth], ["cat"]).mean_average_precision == pytest.approx(1.0)


def test_nothing_anywhere_is_nan_without_a_warning() -> None:
    empty = Prediction(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    nothing = Truth(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    for predictions, truths in (([], []), ([empty], [nothing]), ([one([0, 0, 9, 9])], [nothing])):
        scores = coco_map(predictions, truths, ["cat", "dog"])
        assert np.isnan(list(scores.summary().values())).all()
    assert coco_map([empty], [there([0, 0, 9, 9])], ["cat"]).mean_average_precision == 0


def test_average_precision_by_class() -> None:
    predictions = [Prediction(np.array([[0, 0, 9, 9]]), np.array([0.5]), np.array([1]))]
    truths = [Truth(np.array([[0, 0, 9, 9], [20, 20, 30, 30]]), np.array([1, 0]), np.zeros(2, np.bool_))]
    by_class = coco_map(predictions, truths, ["cat", "dog", "cow"]).average_precision
    assert by_class[:2].tolist() == [0.0, 1.0]
    assert np.isnan(by_class[2])
