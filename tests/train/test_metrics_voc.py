"""VOC 2007 AP against values worked by hand and a slow reference written from the development kit's text."""

from fractions import Fraction
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tombola.errors import DataError
from tombola.train.metrics.average_precision import voc07_map
from tombola.train.metrics.matching import Prediction, Truth

Box = tuple[float, float, float, float]
A: Box = (0, 0, 10, 10)
A_SHIFTED: Box = (0, 0, 10, 8)  # IoU 0.8 with A
A_HALF: Box = (0, 0, 10, 5)  # IoU 0.5 with A, exactly
A_LESS: Box = (0, 0, 10, 4.9)
B: Box = (50, 50, 60, 60)
FAR: Box = (200, 200, 210, 210)


def prediction(*rows: tuple[Box, float, int]) -> Prediction:
    return Prediction(
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([label for _, _, label in rows], np.int64),
    )


def truth(*rows: tuple[Box, int, bool]) -> Truth:
    return Truth(
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        np.array([label for _, label, _ in rows], np.int64),
        np.array([difficult for _, _, difficult in rows], np.bool_),
    )


def one_class_ap(predictions: list[Prediction], truths: list[Truth]) -> float:
    return float(voc07_map(predictions, truths, ["thing"]).average_precision[0])


WORKED = {
    "nothing found": ([], [(A, 0, False)], 0.0),
    "all found": ([(A, 0.9, 0), (B, 0.8, 0)], [(A, 0, False), (B, 0, False)], 1.0),
    # Precision 1 up to recall 0.5, which is six of the eleven points.
    "one of two": ([(A, 0.9, 0)], [(A, 0, False), (B, 0, False)], 6 / 11),
    # Wrong, right: precision 1/2 at recall 1.
    "wrong one first": ([(FAR, 0.9, 0), (A, 0.5, 0)], [(A, 0, False)], 0.5),
    # Right, wrong, right: 1 for recalls to 0.5, then 2/3 for the other five points.
    "wrong one between": (
        [(A, 0.9, 0), (FAR, 0.8, 0), (B, 0.7, 0)],
        [(A, 0, False), (B, 0, False)],
        (6 + 5 * 2 / 3) / 11,
    ),
    "IoU of 0.5 is enough": ([(A_HALF, 0.9, 0)], [(A, 0, False)], 1.0),
    "IoU of 0.49 is not": ([(A_LESS, 0.9, 0)], [(A, 0, False)], 0.0),
    "the second on one truth is wrong": (
        [(A, 0.9, 0), (A_SHIFTED, 0.8, 0), (B, 0.7, 0)],
        [(A, 0, False), (B, 0, False)],
        (6 + 5 * 2 / 3) / 11,
    ),
    "the better score takes the truth, not the better overlap": (
        [(A, 0.7, 0), (A_SHIFTED, 0.9, 0)],
        [(A, 0, False)],
        1.0,
    ),
    "a difficult truth is not asked for": ([(A, 0.9, 0)], [(A, 0, False), (B, 0, True)], 1.0),
    "a detection on a difficult truth does not count": (
        [(B, 0.9, 0), (B, 0.85, 0), (A, 0.8, 0)],
        [(A, 0, False), (B, 0, True)],
        1.0,
    ),
    # The best overlap decides, even where another truth of less overlap is asked for.
    "the nearest truth is difficult": (
        [(A, 0.9, 0)],
        [(A, 0, True), (A_SHIFTED, 0, False)],
        0.0,
    ),
    # As the kit does it: the second detection's nearest truth is taken, though another is in reach.
    "no second choice": (
        [(A, 0.9, 0), (A, 0.8, 0)],
        [(A, 0, False), (A_SHIFTED, 0, False)],
        6 / 11,
    ),
}


@pytest.mark.parametrize("case", WORKED)
def test_worked_values(case: str) -> None:
    detections, boxes, expected = WORKED[case]
    assert one_class_ap([prediction(*detections)], [truth(*boxes)]) == pytest.approx(expected)


def test_detections_of_all_pictures_are_ranked_together() -> None:
    predictions = [prediction((FAR, 0.6, 0)), prediction((A, 0.9, 0)), prediction((A, 0.3, 0))]
    truths = [truth(), truth((A, 0, False)), truth((A, 0, False))]
    # By score: right, wrong, right.
    assert one_class_ap(predictions, truths) == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_equal_scores_keep_the_order_of_the_pictures() -> None:
    right, wrong = prediction((A, 0.5, 0)), prediction((FAR, 0.5, 0))
    boxes = truth((A, 0, False))
    assert one_class_ap([right, wrong], [boxes, truth()]) == 1.0
    assert one_class_ap([wrong, right], [truth(), boxes]) == 0.5


def test_recall_of_exactly_three_tenths_reaches_the_point_at_three_tenths() -> None:
    boxes = [(100.0 * i, 0.0, 100.0 * i + 10, 10.0) for i in range(10)]
    scores = one_class_ap(
        [prediction(*[(box, 0.9 - i / 100, 0) for i, box in enumerate(boxes[:3])])],
        [truth(*[(box, 0, False) for box in boxes])],
    )
    assert scores == pytest.approx(4 / 11)  # recalls 0, 0.1, 0.2 and 0.3


def test_classes_do_not_mix_and_a_class_without_truths_is_left_out_of_the_mean() -> None:
    scores = voc07_map(
        [prediction((A, 0.9, 1), (B, 0.8, 1), (FAR, 0.7, 2))],
        [truth((A, 0, False), (B, 1, False))],
        ["cat", "dog", "cow"],
    )
    assert scores.average_precision[:2].tolist() == [0.0, 0.5]
    assert np.isnan(scores.average_precision[2])
    assert scores.mean_average_precision == 0.25


def test_no_truths_at_all_give_nan_without_a_warning() -> None:
    for predictions, truths in (([], []), ([prediction()], [truth()]), ([prediction((A, 1, 0))], [truth()])):
        assert np.isnan(voc07_map(predictions, truths, ["cat"]).mean_average_precision)


def test_curve_of_a_class() -> None:
    curve = voc07_map(
        [prediction((A, 0.9, 0), (FAR, 0.8, 0), (B, 0.7, 0))], [truth((A, 0, False), (B, 0, False))], ["cat"]
    ).curves[0]
    assert curve.precision == pytest.approx(np.array([1, 1 / 2, 2 / 3]))
    assert curve.recall == pytest.approx(np.array([0.5, 0.5, 1]))
    assert curve.scores == pytest.approx(np.array([0.9, 0.8, 0.7]))


def reference_ap(predictions: list[Prediction], truths: list[Truth], label: int) -> Fraction | None:
    """The kit's loop, one detection at a time, in exact fractions (coordinates are whole numbers)."""
    asked = sum(
        1 for one in truths for t, d in zip(one.labels, one.difficult, strict=True) if t == label and not d
    )
    if asked == 0:
        return None
    ranked = [
        (float(one.scores[row]), picture, [int(v) for v in one.boxes_xyxy[row]])
        for picture, one in enumerate(predictions)
        for row in range(len(one.scores))
        if one.labels[row] == label
    ]
    ranked.sort(key=lambda item: -item[0])
    taken: set[tuple[int, int]] = set()
    found = wrong = 0
    points: list[tuple[Fraction, Fraction]] = []
    for _, picture, (x1, y1, x2, y2) in ranked:
        best, best_iou = -1, Fraction(-1)
        for index, (box, other) in enumerate(
            zip(truths[picture].boxes_xyxy, truths[picture].labels, strict=True)
        ):
            if other != label:
                continue
            u1, v1, u2, v2 = (int(v) for v in box)
            inter = max(0, min(x2, u2) - max(x1, u1)) * max(0, min(y2, v2) - max(y1, v1))
            iou = Fraction(inter, (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - inter)
            if iou > best_iou:
                best, best_iou = index, iou
        if best_iou >= Fraction(1, 2):
            if truths[picture].difficult[best]:
                continue
            if (picture, best) in taken:
                wrong += 1
            else:
                taken.add((picture, best))
                found += 1
        else:
            wrong += 1
        points.append((Fraction(found, asked), Fraction(found, found + wrong)))
    best_at = [
        max((p for r, p in points if r >= Fraction(tenth, 10)), default=Fraction(0)) for tenth in range(11)
    ]
    return sum(best_at, Fraction(0)) / 11


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 3))
def test_agrees_with_the_reference(seed: int, pictures: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    predictions, truths = [], []
    for _ in range(pictures):
        count, shown = rng.integers(0, 12), rng.integers(0, 5)
        corner = rng.integers(0, 12, (shown, 2))
        boxes = np.concatenate([corner, corner + rng.integers(1, 12, (shown, 2))], axis=1)
        truths.append(Truth(boxes, rng.integers(0, classes, shown), rng.random(shown) < 0.3))
        corner = rng.integers(0, 12, (count, 2))
        found = np.concatenate([corner, corner + rng.integers(1, 12, (count, 2))], axis=1)
        if shown:
            copied = rng.random(count) < 0.6
            found[copied] = boxes[rng.integers(0, shown, copied.sum())]
        # Few different scores, so that ties are common.
        predictions.append(Prediction(found, rng.integers(0, 5, count) / 4, rng.integers(0, classes, count)))
    scores = voc07_map(predictions, truths, [str(label) for label in range(classes)])
    for label in range(classes):
        expected = reference_ap(predictions, truths, label)
        value = scores.average_precision[label]
        assert np.isnan(value) if expected is None else value == pytest.approx(float(expected), abs=1e-12)


def test_a_test_split_of_voc_size_takes_a_moment() -> None:
    rng = np.random.default_rng(0)
    predictions, truths = [], []
    for _ in range(472):
        corner = rng.uniform(0, 200, (100, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(20, 150, (100, 2))], axis=1)
        predictions.append(Prediction(boxes, rng.random(100), rng.integers(0, 20, 100)))
        truths.append(Truth(boxes[:3], rng.integers(0, 20, 3), np.zeros(3, np.bool_)))
    start = perf_counter()
    voc07_map(predictions, truths, [str(label) for label in range(20)])
    assert perf_counter() - start < 5  # 0.1 s where nothing else runs


@pytest.mark.parametrize(
    ("predictions", "truths", "words"),
    [
        ([prediction()], [], "1 predictions for 0 pictures"),
        ([prediction((A, 0.5, 7))], [truth()], "picture 0 has a label outside of 0 … 0: 7"),
        ([prediction(), prediction()], [truth(), truth((A, -1, False))], "picture 1 has a label outside"),
    ],
)
def test_pairs_that_do_not_fit(predictions: list[Prediction], truths: list[Truth], words: str) -> None:
    with pytest.raises(DataError, match=words):
        voc07_map(predictions, truths, ["cat"])


def test_predictions_and_truths_are_checked_when_made() -> None:
    with pytest.raises(DataError, match=r"boxes of a prediction must have shape \[n, 4\], got \[4\]"):
        Prediction(np.zeros(4), np.zeros(1), np.zeros(1, np.int64))
    with pytest.raises(DataError, match=r"scores of a prediction must have shape \[2\], got \[1\]"):
        Prediction(np.zeros((2, 4)), np.zeros(1), np.zeros(2, np.int64))
    with pytest.raises(DataError, match=r"difficult of a truth must have shape \[1\]"):
        Truth(np.zeros((1, 4)), np.zeros(1, np.int64), np.zeros(0, np.bool_))
    with pytest.raises(DataError, match="not finite"):
        Prediction(np.zeros((1, 4)), np.array([np.nan]), np.zeros(1, np.int64))
