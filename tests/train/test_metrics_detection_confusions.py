"""What a detector takes for what: a picture worked out by hand, and what holds for any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.errors import DataError
from tombola.train.metrics.detection_confusions import count_detection_confusions
from tombola.train.metrics.matching import Prediction, Truth

CAT, DOG, NOTHING = 0, 1, 2
A, NEAR_A, B, FAR = (0, 0, 10, 10), (0, 0, 10, 9), (20, 0, 30, 10), (60, 60, 70, 70)
Box = tuple[float, float, float, float]


def found(*things: tuple[Box, float, int]) -> Prediction:
    boxes, scores, labels = zip(*things, strict=True) if things else ((), (), ())
    return Prediction(
        np.array(boxes, np.float64).reshape(-1, 4), np.array(scores), np.array(labels, np.int64)
    )


def there(*things: tuple[Box, int, bool]) -> Truth:
    boxes, labels, difficult = zip(*things, strict=True) if things else ((), (), ())
    return Truth(
        np.array(boxes, np.float64).reshape(-1, 4), np.array(labels, np.int64), np.array(difficult, np.bool_)
    )


@pytest.mark.parametrize(
    ("prediction", "truth", "cells"),
    [
        (found((A, 0.9, CAT)), there((A, CAT, False)), {(CAT, CAT): 1}),
        (found((A, 0.9, DOG)), there((A, CAT, False)), {(CAT, DOG): 1}),
        (found((A, 0.4, CAT)), there((A, CAT, False)), {(CAT, NOTHING): 1}),
        (found((FAR, 0.9, CAT)), there((A, CAT, False)), {(CAT, NOTHING): 1, (NOTHING, CAT): 1}),
        # The right class goes before the better box, which is left alone then.
        (
            found((A, 0.9, DOG), (NEAR_A, 0.6, CAT)),
            there((A, CAT, False)),
            {(CAT, CAT): 1, (NOTHING, DOG): 1},
        ),
        (found((A, 0.9, CAT), (A, 0.8, CAT)), there((A, CAT, False)), {(CAT, CAT): 1, (NOTHING, CAT): 1}),
        (found((A, 0.9, DOG), (B, 0.9, DOG)), there((A, CAT, True), (B, DOG, False)), {(DOG, DOG): 1}),
        # Two boxes on a difficult object: neither is held against the detector.
        (found((A, 0.9, CAT), (NEAR_A, 0.9, CAT)), there((A, CAT, True)), {}),
        (found(), there(), {}),
    ],
)
def test_by_hand(prediction: Prediction, truth: Truth, cells: dict[tuple[int, int], int]) -> None:
    expected = np.zeros((3, 3), np.int64)
    for cell, count in cells.items():
        expected[cell] = count
    assert count_detection_confusions([prediction], [truth], 2, 0.5).tolist() == expected.tolist()


boxes = st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(1, 8)] * 2).map(
    lambda box: (float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3]))
)
pictures = st.lists(
    st.tuples(
        st.lists(st.tuples(boxes, st.sampled_from([0.2, 0.5, 0.9]), st.integers(0, 1)), max_size=6),
        st.lists(st.tuples(boxes, st.integers(0, 1), st.booleans()), max_size=6),
    ),
    max_size=4,
)


@given(pictures)
def test_every_object_and_every_detection_is_counted_once(
    things: list[tuple[list[tuple[Box, float, int]], list[tuple[Box, int, bool]]]],
) -> None:
    predictions, truths = [found(*one) for one, _ in things], [there(*one) for _, one in things]
    matrix = count_detection_confusions(predictions, truths, 2, 0.5)
    asked = [label for _, one in things for _, label, difficult in one if not difficult]
    said = [label for one, _ in things for _, score, label in one if score >= 0.5]
    assert matrix.min(initial=0) >= 0
    assert matrix[:2].sum(axis=1).tolist() == [asked.count(0), asked.count(1)]
    assert (matrix[:, :2].sum(axis=0) <= [said.count(0), said.count(1)]).all()
    assert matrix[NOTHING, NOTHING] == 0
    if not any(difficult for _, one in things for _, _, difficult in one):
        assert matrix[:, :2].sum(axis=0).tolist() == [said.count(0), said.count(1)]


def test_pairs_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="give one for each"):
        count_detection_confusions([], [there()], 2, 0.5)
