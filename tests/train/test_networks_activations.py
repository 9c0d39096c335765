"""Activations by name, each against its formula."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tombola.train.networks.axis import Axis, Part
from tombola.train.networks.layers.activations import ActivationName, Maxout, build_activation, units_before


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("sigmoid", lambda x: 1 / (1 + math.exp(-x))),
        ("tanh", lambda x: (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x))),
        ("relu", lambda x: max(0.0, x)),
        ("leaky_relu", lambda x: max(0.01 * x, x)),
        ("prelu", lambda x: max(0.25 * x, x)),
        ("elu", lambda x: x if x > 0 else math.exp(x) - 1),
    ],
)
@given(x=st.floats(-30, 30))
@hypothesis_settings(max_examples=25, deadline=None)
def test_activations_follow_their_formulas(name: ActivationName, formula: Any, x: float) -> None:
    activation, axis = build_activation(name).double(), Axis("hidden", 7)
    given_tensor = torch.tensor([[x]], dtype=torch.float64)
    assert activation(given_tensor).item() == pytest.approx(formula(x), rel=1e-12, abs=1e-12)
    assert given_tensor.item() == x  # not in place
    assert units_before(name, axis) == (Part(axis),)


def test_prelu_learns_its_slope() -> None:
    activation = build_activation("prelu")
    activation(torch.tensor([[-2.0, 3.0]])).sum().backward()
    (slope,) = activation.parameters()
    assert slope.grad is not None
    assert slope.grad.item() == -2.0  # d max(a·x, x) / da = x below 0


def test_maxout_is_the_larger_of_two_units() -> None:
    axis = Axis("hidden", 3)
    assert units_before("maxout", axis) == (Part(axis), Part(axis))
    x = torch.tensor([[1.0, -5.0, 2.0, 0.5, -4.0, 7.0]])
    assert Maxout()(x).tolist() == [[1.0, -4.0, 7.0]]
    maps = torch.randn(2, 6, 5, 4)
    expected = np.maximum(maps.numpy()[:, :3], maps.numpy()[:, 3:])
    assert np.array_equal(Maxout()(maps).numpy(), expected)


def test_maxout_holds_relu_and_leaky_relu() -> None:
    """With one piece x and the other 0 or 0.01 x, maxout is ReLU or leaky ReLU."""
    x = torch.randn(4, 3)
    assert torch.equal(Maxout()(torch.cat([x, 0 * x], 1)), x.relu())
    assert torch.equal(Maxout()(torch.cat([x, 0.01 * x], 1)), F.leaky_relu(x, 0.01))
