"""batched_nms: eagerly and in ONNX, against a plain loop in NumPy and boxes worked by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

Nms = Callable[..., NDArray[np.int64]]
MAX_PER_CLASS = 3


class Nms3(nn.Module):
    def forward(self, boxes: Tensor, scores: Tensor, iou: Tensor, score: Tensor) -> Tensor:
        kept: Tensor = torch.ops.tombola.batched_nms(boxes, scores, iou, score, MAX_PER_CLASS)
        return kept


@pytest.fixture(scope="module")
def in_onnx(export_alone: Callable[..., Any]) -> Nms:
    example = (torch.rand(2, 5, 4), torch.rand(2, 5), torch.tensor(0.5), torch.tensor(0.1))
    run = export_alone(Nms3(), example, ((0, 1), (0, 1), (), ()))

    def nms(boxes: Any, scores: Any, iou: float, score: float) -> NDArray[np.int64]:
        values = [np.asarray(value, np.float32) for value in (boxes, scores, iou, score)]
        return np.asarray(run(*values)[0])

    return nms


def eager(boxes: Any, scores: Any, iou: float, score: float) -> NDArray[np.int64]:
    values = [torch.tensor(np.asarray(value, np.float32)) for value in (boxes, scores, iou, score)]
    return np.asarray(Nms3()(*values))


def reference(boxes: Any, scores: Any, iou: float, score: float) -> NDArray[np.int64]:
    """Greedy suppression as a person would do it with a pencil."""
    boxes, scores = np.asarray(boxes, np.float32), np.asarray(scores, np.float32)
    rows = []
    for c in range(len(scores)):
        kept: list[int] = []
        for candidate in sorted(range(scores.shape[1]), key=lambda i: (-scores[c, i], i)):
            if not scores[c, candidate] > np.float32(score) or len(kept) == MAX_PER_CLASS:
                continue
            if all(one_iou(boxes[c, candidate], boxes[c, other]) <= np.float32(iou) for other in kept):
                kept.append(candidate)
        rows += [(c, i) for i in kept]
    return np.array(rows, np.int64).reshape(-1, 2)


def one_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> np.float32:
    width = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]))
    height = max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return np.float32(width * height / union) if union > 0 else np.float32(0)


# Each: boxes [C, N, 4], scores [C, N], iou threshold, score threshold, kept (class, box).
TENS = [[0, 0, 10, 10], [0, 5, 10, 15], [0, 10, 10, 20]]  # neighbours overlap by 50 of 150
CASES: dict[str, tuple[Any, ...]] = {
    "no boxes": (np.zeros((2, 0, 4)), np.zeros((2, 0)), 0.5, 0.1, []),
    "one box": ([[[0, 0, 1, 1]]], [[0.9]], 0.5, 0.1, [(0, 0)]),
    "best first": ([TENS], [[0.1, 0.3, 0.2]], 0.5, 0.0, [(0, 1), (0, 2), (0, 0)]),
    "middle one kills both": ([TENS], [[0.1, 0.3, 0.2]], 0.3, 0.0, [(0, 1)]),
    "a killed box kills nobody": ([TENS], [[0.3, 0.2, 0.1]], 0.3, 0.0, [(0, 0), (0, 2)]),
    "an IoU equal to the threshold stays": (
        [[[0, 0, 10, 10], [0, 0, 10, 5]]], [[0.9, 0.8]], 0.5, 0.0, [(0, 0), (0, 1)],
    ),
    "a score equal to the threshold goes": ([TENS], [[0.5, 0.5, 0.75]], 1.0, 0.5, [(0, 2)]),
    "ties keep the lower index": ([[[0, 0, 4, 4]] * 3], [[0.5, 0.5, 0.5]], 0.5, 0.1, [(0, 0)]),
    "classes do not meet": (
        [[[0, 0, 4, 4]], [[0, 0, 4, 4]]], [[0.4], [0.6]], 0.5, 0.1, [(0, 0), (1, 0)],
    ),
    "at most three a class": (
        [[[0, 9 * i, 8, 9 * i + 8] for i in range(5)]], [[0.1, 0.5, 0.4, 0.3, 0.2]], 0.5, 0.0,
        [(0, 1), (0, 2), (0, 3)],
    ),
    "a box without area kills nobody": (
        [[[2, 2, 2, 2], [2, 2, 2, 2]]], [[0.9, 0.8]], 0.0, 0.1, [(0, 0), (0, 1)],
    ),
    "minus infinity lets all pass": ([TENS], [[-5.0, -1.0, -9.0]], 0.5, -np.inf, [(0, 1), (0, 0), (0, 2)]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_nms_by_hand(case: str, in_onnx: Nms) -> None:
    *given_values, kept = CASES[case]
    wanted = np.array(kept, np.int64).reshape(-1, 2)
    np.testing.assert_array_equal(reference(*given_values), wanted)
    np.testing.assert_array_equal(eager(*given_values), wanted)
    np.testing.assert_array_equal(in_onnx(*given_values), wanted)


# Few coordinates and scores, so that ties and IoUs equal to the threshold come often.
CORNER = st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 6)] * 2)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(), iou=st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0]), score=st.sampled_from([-1.0, 0.0, 0.5])
)
def test_nms_agrees_with_the_plain_loop(data: st.DataObject, iou: float, score: float, in_onnx: Nms) -> None:
    classes, count = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 12))
    number = classes * count
    corners = data.draw(st.lists(CORNER, min_size=number, max_size=number))
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in corners]).reshape(classes, count, 4)
    score_of = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    scores = data.draw(st.lists(score_of, min_size=number, max_size=number))
    values = (boxes, np.array(scores).reshape(classes, count), iou, score)
    wanted = reference(*values)
    np.testing.assert_array_equal(eager(*values), wanted)
    np.testing.assert_array_equal(in_onnx(*values), wanted)


def test_nms_with_hundreds_of_boxes_agrees(in_onnx: Nms) -> None:
    rng = np.random.default_rng(5)
    low = rng.uniform(0, 60, (4, 300, 2)).astype(np.float32)
    boxes = np.concatenate([low, low + rng.uniform(5, 40, low.shape).astype(np.float32)], axis=2)
    values = (boxes, rng.uniform(0, 1, (4, 300)), 0.4, 0.3)
    wanted = reference(*values)
    assert len(wanted) == 4 * MAX_PER_CLASS
    np.testing.assert_array_equal(eager(*values), wanted)
    np.testing.assert_array_equal(in_onnx(*values), wanted)
