"""Penalties and the bound on norms, by arithmetic."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tombola.train.loop.learn.regularise import limit_norms, penalties


def toy() -> nn.Sequential:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[3.0, -4.0], [0.0, 1.0]]))  # type: ignore[operator]
        network[2].weight.copy_(torch.tensor([[-2.0, 0.0]]))  # type: ignore[operator]
        for layer in (network[0], network[2]):
            layer.bias.fill_(100.0)  # type: ignore[operator]
    return network


def test_penalties_add_up_weights_and_leave_biases_and_norms_out() -> None:
    parts = penalties(toy(), l1=0.1, l2=0.2)
    assert parts["l1"].item() == pytest.approx(0.1 * (3 + 4 + 0 + 1 + 2 + 0))
    assert parts["l2"].item() == pytest.approx(0.2 / 2 * (9 + 16 + 0 + 1 + 4 + 0))
    assert penalties(toy(), l1=0.0, l2=0.0) == {}


def test_the_gradient_of_l2_is_the_weight_and_that_of_l1_its_sign() -> None:
    for options, expected in (
        ({"l1": 0.0, "l2": 0.5}, [[1.5, -2.0], [0.0, 0.5]]),
        ({"l1": 0.5, "l2": 0.0}, [[0.5, -0.5], [0.0, 0.5]]),
    ):
        network = toy()
        (loss,) = penalties(network, **options).values()
        loss.backward()
        torch.testing.assert_close(network[0].weight.grad, torch.tensor(expected))


def test_frozen_weights_are_not_penalised() -> None:
    network = toy()
    network[0].requires_grad_(False)
    assert penalties(network, l1=1.0, l2=0.0)["l1"].item() == pytest.approx(2)


def test_only_units_over_the_bound_are_scaled_down() -> None:
    network: Any = toy()
    limit_norms(network, 2.5)
    torch.testing.assert_close(network[0].weight, nn.Parameter(torch.tensor([[1.5, -2.0], [0.0, 1.0]])))
    torch.testing.assert_close(network[2].weight, nn.Parameter(torch.tensor([[-2.0, 0.0]])))
    assert network[0].bias[0].item() == 100


@given(bound=st.floats(0.1, 5), seed=st.integers(0, 1000))
def test_no_channel_of_a_convolution_is_over_the_bound(bound: float, seed: int) -> None:
    torch.manual_seed(seed)
    convolution = nn.Conv2d(3, 5, 3)
    before = convolution.weight.detach().clone()
    limit_norms(convolution, bound)
    norms = convolution.weight.detach().flatten(1).norm(dim=1)
    assert (norms <= bound * (1 + 1e-5)).all()
    inside = before.flatten(1).norm(dim=1) < bound
    torch.testing.assert_close(convolution.weight.detach()[inside], before[inside])
