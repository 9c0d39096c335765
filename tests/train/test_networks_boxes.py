import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tombola.train.networks.layers.boxes import area, clip, decode, encode, generalized_iou, pairwise_iou

UNIT = (1.0, 1.0, 1.0, 1.0)
FIRM = (10.0, 10.0, 5.0, 5.0)


def box(*corners: float) -> Tensor:
    return torch.tensor([corners], dtype=torch.float32)


@st.composite
def boxes(draw: st.DrawFn) -> Tensor:
    x, y = (draw(st.floats(-500, 500, width=32)) for _ in range(2))
    w, h = (draw(st.floats(1, 500, width=32)) for _ in range(2))
    return box(x, y, x + w, y + h)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (box(0, 0, 2, 2), box(0, 0, 2, 2), 1.0),
        (box(0, 0, 2, 2), box(1, 0, 3, 2), 2 / 6),
        (box(0, 0, 4, 4), box(1, 1, 3, 3), 4 / 16),
        (box(0, 0, 2, 2), box(2, 0, 4, 2), 0.0),
        (box(0, 0, 2, 2), box(5, 5, 6, 6), 0.0),
        (box(1, 1, 1, 1), box(1, 1, 1, 1), 0.0),
    ],
)
def test_iou_by_hand(one: Tensor, other: Tensor, expected: float) -> None:
    assert pairwise_iou(one, other).item() == pytest.approx(expected)


def test_giou_by_hand() -> None:
    # Apart by one: no intersection, union 2, hull 3 × 1.
    assert generalized_iou(box(0, 0, 1, 1), box(2, 0, 3, 1)).item() == pytest.approx(-1 / 3)
    assert generalized_iou(box(0, 0, 2, 2), box(0, 0, 2, 2)).item() == pytest.approx(1.0)


@given(boxes(), boxes())
def test_giou_is_at_most_iou(one: Tensor, other: Tensor) -> None:
    iou = pairwise_iou(one, other).item()
    giou = generalized_iou(one, other).item()
    assert -1.0 <= giou <= iou + 1e-5
    assert 0.0 <= iou <= 1.0 + 1e-6


def test_encode_by_hand() -> None:
    # Anchor centre (5, 5), side 10; box centre (7, 5), 20 wide and 10 high.
    offsets = encode(box(-3, 0, 17, 10), box(0, 0, 10, 10), UNIT)
    assert offsets.tolist()[0] == pytest.approx([0.2, 0.0, math.log(2), 0.0])


@given(boxes(), boxes(), st.sampled_from([UNIT, FIRM]))
def test_decode_inverts_encode(wanted: Tensor, anchor: Tensor, weights: tuple[float, ...]) -> None:
    growth = (wanted[:, 2:] - wanted[:, :2]) / (anchor[:, 2:] - anchor[:, :2])
    if growth.max() > 60:  # beyond the largest step a box may make
        return
    back = decode(encode(wanted, anchor, weights), anchor, weights)  # type: ignore[arg-type]
    torch.testing.assert_close(back, wanted, atol=0.05, rtol=1e-3)


def test_a_wild_offset_stays_finite() -> None:
    moved = decode(torch.full((1, 4), 1e4), box(0, 0, 10, 10), UNIT)
    assert torch.isfinite(moved).all()


def test_clip_and_area() -> None:
    cut = clip(box(-5, -5, 30, 12), torch.tensor([20.0, 10.0, 20.0, 10.0]))
    assert cut.tolist() == [[0.0, 0.0, 20.0, 10.0]]
    assert area(cut).item() == 200.0
    assert area(box(3, 3, 1, 9)).item() == 0.0
