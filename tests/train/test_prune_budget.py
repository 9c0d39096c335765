"""Cutting to a budget: on two layers whose costs can be worked out in the head."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axis
from tombola.train.networks.backbones.resnet import Bottleneck
from tombola.train.networks.layers.convolution import Conv, ConvBatchNorm
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.prune.budget import best_channels, cut_to, ever_narrower, loss_curves
from tombola.train.prune.cost import Cost, layers_of, macs_cost


class Small(nn.Module):
    """A convolution, a depthwise one and a matrix."""

    def __init__(self) -> None:
        super().__init__()
        a, b = Axis("a", 8), Axis("b", 16)
        self.stem = ConvBatchNorm(Axis("picture", 3, pinned=True), a, 3, stride=2, same_padding=True)
        self.deep = Conv(a, a, 5, padding=2, depthwise=True)
        self.mix = Linear(a, b)
        self.last = Linear(b, Axis("out", 10, pinned=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.mix(self.deep(self.stem(x)).mean((2, 3)))))  # type: ignore[no-any-return]


@pytest.fixture
def macs() -> Cost:
    network = Small().eval()
    layers = layers_of(network, lambda: network(torch.zeros(1, 3, 8, 12)))
    return Cost("MACs", 100.0, layers, lambda layer, widths: float(layer.macs(widths)))


def test_macs_are_counted_by_hand(macs: Cost) -> None:
    stem, deep, mix, last = 4 * 6 * 27 * 8, 4 * 6 * 25 * 8, 8 * 16, 16 * 10
    assert macs.total({}) == 100 + stem + deep + mix + last
    assert macs.total({"a": 4}) == 100 + stem / 2 + deep / 2 + mix / 2 + last
    assert macs.saved("b", 8, {"a": 4}) == 4 * 8 + 80
    weights = (9 * 3 + 1) * 8, (25 + 1) * 8, (8 + 1) * 16, (16 + 1) * 10
    assert [layer.weights({}) for layer in macs.layers] == list(weights)


def test_what_costs_most_and_is_missed_least_goes_first(macs: Cost) -> None:
    # A channel of a is worth 1/8, one of b 1/16; but it costs far more than twice as much.
    curves = loss_curves("l1", {"a": torch.ones(8), "b": torch.ones(16)})
    assert curves["a"].tolist() == pytest.approx([step / 8 for step in range(9)])
    path = list(ever_narrower(curves, macs, block=4))
    assert [(one["a"], one["b"]) for one in path] == [(8, 16), (4, 16), (4, 12), (4, 8), (4, 4)]
    totals = [macs.total(one) for one in path]
    assert all(before > after for before, after in pairwise(totals))
    kept = best_channels({"a": torch.arange(8.0), "b": torch.ones(16)}, {"a": 4, "b": 16})
    assert kept == {"a": [4, 5, 6, 7]}
    left_out = list(ever_narrower(curves, macs, block=4, leave_out=("a",)))
    assert {one["a"] for one in left_out} == {8}
    idle = loss_curves("l1", {"a": torch.ones(8), "of an encoder": torch.ones(8)})
    assert list(ever_narrower(idle, macs, block=4))[-1] == {"a": 4, "of an encoder": 8}
    *_, last = ever_narrower(curves, macs, block=3, vanishing=("b",))
    assert last == {"a": 3, "b": 0}
    assert macs.total(last) == macs.total({"a": 3, "b": 16}) - 3 * 16 - 16 * 10


def test_nothing_in_a_vanished_block_costs() -> None:
    reads = Axis("reads", 4)
    squeezed, hidden = (Axis(name, 2, may_vanish=True) for name in ("squeezed", "hidden"))
    stem = ConvBatchNorm(Axis("picture", 3, pinned=True), reads, 1)
    network = nn.Sequential(stem, Bottleneck(reads, reads, 1, squeezed=squeezed, hidden=hidden)).eval()
    macs = macs_cost(layers_of(network, lambda: network(torch.zeros(1, 3, 10, 10))))
    one_by_one, whole = 100 * (3 * 4) / 1e6, 100 * (3 * 4 + 4 * 2 + 9 * 2 * 2 + 2 * 4) / 1e6
    assert macs.total({}) == pytest.approx(whole)
    for gone in ({"hidden": 0}, {"squeezed": 0}, {"hidden": 0, "squeezed": 0}):
        assert macs.total(gone) == pytest.approx(one_by_one)
    assert macs.saved("hidden", 0, {}) == pytest.approx(whole - one_by_one)
    assert macs.saved("squeezed", 0, {"hidden": 0}) == 0


def test_what_is_lost_is_told_by_the_least_squares_themselves() -> None:
    curves = loss_curves("least_squares", {"a": torch.tensor([0.5, 0.1, 1.0])})
    assert curves["a"].tolist() == pytest.approx([0, 0.1, 0.5, 1.0])


def test_it_stops_at_the_target_or_at_the_drop_or_at_the_best(macs: Cost) -> None:
    curves = loss_curves("l1", {"a": torch.ones(8), "b": torch.ones(16)})

    def path() -> list[dict[str, int]]:
        return list(ever_narrower(curves, macs, block=4))

    def drop(widths: object) -> float:
        return float(path().index(widths))  # type: ignore[arg-type]  # a point a step

    target = macs.total({"a": 4, "b": 12})
    assert cut_to(iter(path()), macs, target, drop, None) == {"a": 4, "b": 12}
    assert cut_to(iter(path()), macs, 1.0, drop, None) == {"a": 4, "b": 4}  # it cannot be reached
    assert cut_to(iter(path()), macs, None, drop, 3.0) == {"a": 4, "b": 8}
    assert cut_to(iter(path()), macs, target, drop, 1.5) == {"a": 4, "b": 16}
    with pytest.raises(RecipeError, match=r"one block alone costs more than 0\.5"):
        cut_to(iter(path()), macs, None, drop, 0.5)
    with pytest.raises(RecipeError, match=r"costs .* MACs already"):
        cut_to(iter(path()[:1]), macs, 1e9, drop, None)
