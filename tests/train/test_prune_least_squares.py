"""Channels that the next layer can do without, held to NumPy's least squares."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.layers.convolution import Conv, ConvBatchNorm
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.prune.least_squares import least_squares_scores, measure, refit
from tombola.train.prune.shrink import shrink
from tombola.train.tasks.task import Task


class Vectors(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, widths: Mapping[str, int] | None = None) -> None:
        super().__init__()
        hidden = Axes(widths).new("hidden", 5)
        self.first = Linear(Axis("in", 3, pinned=True), hidden)
        self.second = Linear(hidden, Axis("out", 4, pinned=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())  # type: ignore[no-any-return]


class Maps(nn.Module):
    """Two convolutions, the second padded and with a norm behind it."""

    def __init__(self, widths: Mapping[str, int] | None = None) -> None:
        super().__init__()
        hidden = Axes(widths).new("hidden", 4)
        self.first = Conv(Axis("in", 2, pinned=True), hidden, 1)
        self.second = ConvBatchNorm(hidden, Axis("out", 3, pinned=True), 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())  # type: ignore[no-any-return]


class Asking:
    """What is asked of a task here."""

    def losses(self, network: nn.Module, batch: Any, _: Any) -> Mapping[str, Tensor]:
        return {"all": network(batch).sum()}


ASKING = cast(Task, Asking())


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(4)


def test_the_first_to_go_leaves_the_least_error_and_the_rest_are_fitted() -> None:
    network, x = Vectors(), torch.randn(200, 3)
    with torch.no_grad():
        read = network.first(x).relu().double().numpy()
        wanted = read @ network.second.weight.double().numpy().T
    ones = np.ones((200, 1))
    fits = [np.linalg.lstsq(np.hstack([np.delete(read, c, 1), ones]), wanted, rcond=None) for c in range(5)]
    grams = measure(network, ASKING, [x[:120], x[120:]])
    lost = least_squares_scores(network, grams)["hidden"]
    errors = [fit[1].sum() / ((wanted - wanted.mean(0)) ** 2).sum() for fit in fits]
    assert int(lost.argmin()) == int(np.argmin(errors))
    assert lost.min().item() == pytest.approx(min(errors), rel=2e-2)
    assert lost.max().item() == pytest.approx(1, rel=2e-2)  # of all channels, whatever their order

    fitted = refit(network, {"hidden": [0, 1, 3, 4]}, grams)
    assert isinstance(fitted, Vectors)
    weight, shift = fits[2][0][:-1].T, fits[2][0][-1]
    np.testing.assert_allclose(fitted.second.weight.detach()[:, [0, 1, 3, 4]], weight, atol=2e-3)
    np.testing.assert_allclose((fitted.second.bias - network.second.bias).detach(), shift, atol=2e-3)


@pytest.mark.parametrize("build", [Vectors, Maps])
def test_a_channel_that_another_repeats_is_not_missed(build: type[nn.Module]) -> None:
    network = build().eval()
    pictures = torch.randn(300, 3) if build is Vectors else torch.randn(16, 2, 9, 12)
    with torch.no_grad():
        network.get_parameter("first.weight")[3] = 2 * network.get_parameter("first.weight")[1]
        network.get_parameter("first.bias")[3] = 2 * network.get_parameter("first.bias")[1]
    grams = measure(network, ASKING, [pictures])
    order = least_squares_scores(network, grams)["hidden"]
    assert int(order.argmin()) in (1, 3)
    kept = {"hidden": sorted(order.argsort()[1:].tolist())}
    narrow = shrink(refit(network, kept, grams), kept, build)
    with torch.no_grad():
        error = F.mse_loss(narrow(pictures), network(pictures)) / network(pictures).var()
        plain = F.mse_loss(shrink(network, kept, build)(pictures), network(pictures))
    assert error < 1e-5
    assert plain / network(pictures).var() > 1e-3
