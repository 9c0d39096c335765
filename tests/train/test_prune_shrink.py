"""What is dead by a mask: small networks whose answers can be worked out by hand."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from tombola.errors import TrainingError
from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.layers.convolution import Conv, ConvBatchNorm
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.prune.dead import bury_dead
from tombola.train.prune.shrink import kept_widths, shrink, sliced


class Two(nn.Module):
    """Two layers with a ReLU between them."""

    def __init__(self, widths: Mapping[str, int] | None = None) -> None:
        super().__init__()
        hidden = Axes(widths).new("hidden", 3)
        self.first = Linear(Axis("in", 2, pinned=True), hidden)
        self.second = Linear(hidden, Axis("out", 1, pinned=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())  # type: ignore[no-any-return]


class Maps(nn.Module):
    """A 1×1 convolution with norm and ReLU, and one of `size` behind it, padded or not."""

    def __init__(
        self, widths: Mapping[str, int] | None = None, size: int = 3, padding: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        hidden = Axes(widths).new("hidden", 2)
        self.first = ConvBatchNorm(Axis("in", 1, pinned=True), hidden, 1, activation=nn.ReLU())
        self.second = Conv(hidden, Axis("out", 1, pinned=True), size, padding=padding, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))  # type: ignore[no-any-return]


def fill(layer: nn.Module, **values: object) -> None:
    with torch.no_grad():
        for name, value in values.items():
            getattr(layer, name).copy_(torch.tensor(value))


def test_a_constant_goes_into_the_next_bias() -> None:
    network = Two()
    fill(network.first, weight=[[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]], bias=[0.0, 2.0, 0.0])
    fill(network.second, weight=[[1.0, 5.0, 0.0]], bias=[0.5])  # channel 1 is always 2, channel 2 is not read
    quiet, alive = bury_dead(network, torch.randn(4, 2))
    assert alive == {"hidden": [0]}
    narrow = shrink(quiet, alive, Two)
    assert isinstance(narrow, Two)
    assert narrow.first.weight.tolist() == [[1.0, 2.0]]
    assert narrow.second.bias.tolist() == [0.5 + 5 * 2]
    assert network.second.bias.tolist() == [0.5]  # the network given is not changed


def test_a_unit_that_no_probe_wakes_is_not_dead() -> None:
    network = Two()
    fill(network.first, weight=[[1.0, 0.0]] * 3, bias=[-9.0] * 3)  # wakes at inputs above 9
    fill(network.second, weight=[[1.0, 1.0, 1.0]], bias=[0.0])
    assert bury_dead(network, torch.zeros(4, 2).normal_(std=0.1))[1] == {"hidden": [0, 1, 2]}


def test_an_axis_never_falls_to_nothing() -> None:
    network = Two()
    fill(network.first, weight=[[0.0, 0.0]] * 3, bias=[1.0, 2.0, 3.0])
    fill(network.second, weight=[[1.0, 1.0, 1.0]], bias=[0.0])
    quiet, alive = bury_dead(network, torch.randn(4, 2))
    assert alive == {"hidden": [0]}
    assert shrink(quiet, alive, Two)(torch.randn(5, 2)).tolist() == [[6.0]] * 5


@pytest.mark.parametrize(
    ("size", "padding", "bias", "constant", "gone"),
    [
        (1, 0, True, 2.0, True),
        (3, 0, True, 2.0, True),
        (3, 1, True, 2.0, False),  # at the border it reads fewer of them
        (3, 1, True, 0.0, True),
        (1, 0, False, 2.0, False),  # no bias, no norm
        (1, 0, False, 0.0, True),
    ],
)
def test_where_a_constant_cannot_go_the_channel_stays(
    size: int, padding: int, bias: bool, constant: float, gone: bool
) -> None:
    torch.manual_seed(1)

    def build(widths: Mapping[str, int] | None = None) -> Maps:
        return Maps(widths, size, padding, bias)

    network = build().eval()
    fill(network.first.conv, weight=[[[[1.0]]], [[[0.0]]]])
    fill(network.first.norm, bias=[0.0, constant])
    quiet, alive = bury_dead(network, torch.randn(2, 1, 6, 6))
    assert alive == {"hidden": [0] if gone else [0, 1]}
    pictures = torch.randn(2, 1, 5, 9)
    torch.testing.assert_close(shrink(quiet, alive, build)(pictures), network(pictures))


def test_a_mask_is_sliced_like_the_weights() -> None:
    network = Two()
    mask = {"second.weight": torch.tensor([[True, False, True]])}
    assert sliced(network, {"hidden": [1, 2]}, mask)["second.weight"].tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({"hiden": [0]}, r"no axis 'hiden' to cut; its axes: hidden"),
        ({"out": [0]}, r"no axis 'out' to cut"),
        ({"hidden": []}, r"hidden has the channels 0 to 2.*\[\] cannot stay"),
        ({"hidden": [0, 3]}, r"\[0, 3\] cannot stay"),
        ({"hidden": [1, 0]}, r"\[1, 0\] cannot stay"),
    ],
)
def test_what_cannot_stay(kept: dict[str, list[int]], told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        kept_widths(Two(), kept)
