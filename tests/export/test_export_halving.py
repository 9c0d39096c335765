"""The halvings in a graph, eagerly and in the runtime are one arithmetic, or training meets other pixels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from tombola.runtime.pictures.shrink import Shrink, Sides, halve

WANTED = {"longer": (20, 20), "both": (8, 12)}


class Halve(nn.Module):
    def __init__(self, sides: Sides) -> None:
        super().__init__()
        self.sides = sides

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        halved: tuple[Tensor, Tensor] = torch.ops.tombola.halve_u8(image, *WANTED[self.sides], self.sides)
        return halved


@pytest.fixture(scope="module", params=["longer", "both"])
def halved_alike(request: pytest.FixtureRequest, export_alone: Callable[..., Any]) -> Callable[..., Any]:
    """Halves a picture in all three ways, compares them, and returns the result."""
    module = Halve(request.param)
    run = export_alone(module, (torch.zeros(50, 70, 3, dtype=torch.uint8),), ((0, 1),))
    shrink = Shrink(WANTED[request.param], request.param)

    def halve_in_three_ways(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        count = shrink.halvings(image.shape[:2])
        wanted = halve(image, count)
        for halved, factor in (run(image), module(torch.from_numpy(image))):
            np.testing.assert_array_equal(np.asarray(halved), wanted)
            assert float(factor) == 2**count
        return wanted

    return halve_in_three_ways


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=80, deadline=None)
@given(height=st.integers(1, 200), width=st.integers(1, 200))
def test_every_byte_agrees_at_any_size(height: int, width: int, halved_alike: Callable[..., Any]) -> None:
    halved_alike(noise(height, width))


@pytest.mark.parametrize("size_hw", [(1080, 1920), (2161, 3839), (1, 700), (700, 1), (2, 5000), (3001, 7)])
def test_every_byte_agrees_at_large_sizes(size_hw: tuple[int, int], halved_alike: Callable[..., Any]) -> None:
    halved_alike(noise(*size_hw))


def test_every_sum_of_four_bytes_is_rounded_alike(halved_alike: Callable[..., Any]) -> None:
    """All sums 0 … 1020: the graph rounds a product of floats, where a half must not fall."""
    sums = np.arange(1021)
    four = np.stack([(sums + place) // 4 for place in range(4)], axis=1).astype(np.uint8)
    image = np.repeat(four.reshape(1021, 2, 2).transpose(1, 0, 2).reshape(2, 2042, 1), 3, axis=2)
    image = np.concatenate([image] * 8)  # so high that both rules halve it once
    once = halve(image, 1)
    np.testing.assert_array_equal(once[0, :, 0], (sums + 2) >> 2)
    halved_alike(image[:, :300])
    for start in range(0, 2042, 300):
        halved_alike(image[:, start : start + 300])
