"""Overlaps against values worked by hand, and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from tombola.train.metrics.iou import box_area, box_ioa, box_iou

WORKED = [
    # a, b, iou, share of a inside b
    ([0, 0, 10, 10], [0, 0, 10, 10], 1.0, 1.0),
    ([0, 0, 10, 10], [5, 0, 15, 10], 50 / 150, 0.5),
    ([0, 0, 10, 10], [5, 5, 15, 15], 25 / 175, 0.25),
    ([2, 2, 4, 4], [0, 0, 10, 10], 4 / 100, 1.0),
    ([0, 0, 10, 10], [10, 0, 20, 10], 0.0, 0.0),  # touching: coordinates are continuous
    ([0, 0, 10, 10], [30, 30, 40, 40], 0.0, 0.0),
    ([5, 5, 5, 5], [5, 5, 5, 5], 0.0, 0.0),  # no area
    ([-10, -10, 10, 10], [0, 0, 10, 10], 100 / 400, 0.25),
]


@pytest.mark.parametrize(("a", "b", "iou", "ioa"), WORKED)
def test_worked_values(a: list[float], b: list[float], iou: float, ioa: float) -> None:
    boxes_a, boxes_b = np.array([a], np.float32), np.array([b], np.float32)
    assert box_iou(boxes_a, boxes_b) == pytest.approx(np.array([[iou]]))
    assert box_ioa(boxes_a, boxes_b) == pytest.approx(np.array([[ioa]]))


def test_empty_sides_give_empty_matrices() -> None:
    none, two = np.zeros((0, 4)), np.ones((2, 4))
    assert box_iou(none, two).shape == (0, 2)
    assert box_iou(two, none).shape == (2, 0)
    assert box_area(none).shape == (0,)


def test_rows_are_a_and_columns_are_b() -> None:
    a = np.array([[0, 0, 2, 2], [0, 0, 4, 4]])
    b = np.array([[0, 0, 4, 4], [0, 0, 2, 2], [8, 8, 9, 9]])
    assert box_iou(a, b).tolist() == [[0.25, 1.0, 0.0], [1.0, 0.25, 0.0]]


def boxes() -> st.SearchStrategy[NDArray[np.int64]]:
    corner = npst.arrays(np.int64, (5, 2), elements=st.integers(-50, 50))
    side = npst.arrays(np.int64, (5, 2), elements=st.integers(1, 60))
    return st.tuples(corner, side).map(lambda both: np.concatenate([both[0], both[0] + both[1]], axis=1))


@settings(deadline=None)
@given(boxes(), boxes())
def test_iou_counts_the_unit_squares_that_two_boxes_share(a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
    def painted(box: NDArray[np.int64]) -> NDArray[np.bool_]:
        canvas = np.zeros((170, 170), np.bool_)
        x1, y1, x2, y2 = box + 55
        canvas[y1:y2, x1:x2] = True
        return canvas

    first, second = painted(a[0]), painted(b[0])
    assert box_iou(a, b)[0, 0] == (first & second).sum() / (first | second).sum()
    assert box_ioa(a, b)[0, 0] == (first & second).sum() / first.sum()


@settings(deadline=None)
@given(boxes(), boxes())
def test_iou_is_symmetric_and_within_bounds(a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
    ious = box_iou(a, b)
    assert (ious == box_iou(b, a).T).all()
    assert (ious >= 0).all()
    assert (ious <= 1).all()
    assert np.diag(box_iou(a, a)) == pytest.approx(np.ones(5))
