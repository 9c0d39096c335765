"""Per-class figures at a score, and the score that serves F1 best, against values worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tombola.train.metrics.average_precision import ClassCurve, DetectionScores
from tombola.train.metrics.table import as_rows, best_f1_score, class_rows, total_row


def scores_of(*curves: ClassCurve) -> DetectionScores:
    return DetectionScores(
        classes=tuple("abcdefgh"[: len(curves)]),
        average_precision=np.array([np.nan if curve.truths == 0 else 0.5 for curve in curves]),
        curves=curves,
        iou_threshold=0.5,
    )


def curve(truths: int, *detections: tuple[float, bool]) -> ClassCurve:
    return ClassCurve(
        np.array([score for score, _ in detections], np.float64),
        np.array([right for _, right in detections], np.bool_),
        truths,
    )


MIXED = scores_of(
    curve(4, (0.9, True), (0.7, True), (0.5, False), (0.3, True)),
    curve(0, (0.8, False)),
    curve(2),
)


def test_counts_at_a_score_include_detections_of_that_score() -> None:
    first, second, third = class_rows(MIXED, 0.5)
    assert (first.right, first.wrong, first.missed) == (2, 1, 2)
    assert (first.precision, first.recall) == (2 / 3, 0.5)
    assert first.f1 == pytest.approx(2 * (2 / 3) * 0.5 / (2 / 3 + 0.5))
    assert second.precision == 0
    assert np.isnan(second.recall)
    assert np.isnan(third.precision)
    assert (third.recall, third.f1) == (0, 0)


def test_the_total_sums_counts_and_averages_ap_over_classes_with_truths() -> None:
    total = total_row(MIXED, 0.5)
    assert (total.truths, total.right, total.wrong, total.missed) == (6, 2, 2, 4)
    assert total.average_precision == 0.5


def test_rows_show_percent_and_a_dash_for_what_is_undefined() -> None:
    rows = as_rows([*class_rows(MIXED, 0.5), total_row(MIXED, 0.5)])
    assert rows[0] == ("a", "4", "50.0", "66.7", "50.0", "57.1")
    assert rows[1] == ("b", "0", "–", "0.0", "–", "0.0")
    assert rows[2] == ("c", "2", "50.0", "–", "0.0", "0.0")
    assert rows[3] == ("all", "6", "50.0", "50.0", "33.3", "40.0")


def test_best_f1_is_where_the_last_right_one_pays() -> None:
    # F1 after each: 2/3·…: 1 of 3 found 2·1/(1+3)=0.5, 2/3 at 0.8: 2·2/(2+3)=0.8, wrong: 4/6, right: 6/7.
    assert best_f1_score(scores_of(curve(3, (0.9, True), (0.8, True), (0.4, False), (0.2, True)))) == 0.2
    assert best_f1_score(scores_of(curve(2, (0.9, True), (0.8, True), (0.4, False)))) == 0.8
    assert best_f1_score(scores_of(curve(2, (0.9, False)))) == 0.5
    assert best_f1_score(scores_of()) == 0.5


detection = st.tuples(st.integers(1, 8).map(lambda eighth: eighth / 8), st.booleans())


@settings(deadline=None)
@given(st.lists(st.lists(detection, max_size=12), min_size=1, max_size=4))
def test_no_threshold_has_a_better_f1(lists: list[list[tuple[float, bool]]]) -> None:
    scores = scores_of(
        *[
            curve(1 + sum(right for _, right in found), *sorted(found, key=lambda item: -item[0]))
            for found in lists
        ]
    )
    chosen = total_row(scores, best_f1_score(scores)).f1
    tried = [total_row(scores, eighth / 8).f1 for eighth in range(1, 9)]
    assert chosen == max(tried) or not any(right for found in lists for _, right in found)
