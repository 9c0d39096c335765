"""resize_u8: the eager twin and onnxruntime agree in every bit, or near-tied detections change places."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

Resize = Callable[[NDArray[np.uint8], int, int], NDArray[np.uint8]]


class ResizeTo(nn.Module):
    """The size comes as the shape of a second input, which keeps it dynamic."""

    def forward(self, image: Tensor, like: Tensor) -> Tensor:
        resized: Tensor = torch.ops.tombola.resize_u8(image, like.shape[0], like.shape[1])
        return resized


@pytest.fixture(scope="module")
def in_onnx(export_alone: Callable[..., Any]) -> Resize:
    example = (torch.zeros(7, 9, 3, dtype=torch.uint8), torch.zeros(4, 5))
    run = export_alone(ResizeTo(), example, ((0, 1), (0, 1)))
    return lambda image, height, width: run(image, np.zeros((height, width), np.float32))[0]


def eager(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return np.asarray(torch.ops.tombola.resize_u8(torch.from_numpy(image), height, width))


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), dtype=np.uint8)


SIZES = [
    ((1080, 1920), (180, 320)),
    ((2160, 3840), (180, 320)),
    ((480, 640), (240, 320)),
    ((375, 500), (240, 320)),
    ((333, 517), (206, 320)),
    ((321, 173), (320, 172)),
    ((37, 501), (24, 320)),
    ((64, 64), (320, 320)),
    ((17, 33), (165, 320)),
    ((2, 3), (213, 320)),
    ((1, 1), (320, 320)),
    ((1, 700), (1, 320)),
    ((240, 320), (240, 320)),
]


@pytest.mark.parametrize(("source_hw", "target_hw"), SIZES)
def test_every_byte_agrees(source_hw: tuple[int, int], target_hw: tuple[int, int], in_onnx: Resize) -> None:
    image = noise(*source_hw)
    np.testing.assert_array_equal(eager(image, *target_hw), in_onnx(image, *target_hw))


@settings(max_examples=60, deadline=None)
@given(sides=st.tuples(*[st.integers(1, 90)] * 4))
def test_every_byte_agrees_at_any_size(sides: tuple[int, int, int, int], in_onnx: Resize) -> None:
    height, width, new_height, new_width = sides
    image = noise(height, width)
    np.testing.assert_array_equal(eager(image, new_height, new_width), in_onnx(image, new_height, new_width))


@pytest.mark.parametrize("width", [1, 2, 7, 33, 90, 700])
def test_every_byte_agrees_where_only_the_width_changes(width: int, in_onnx: Resize) -> None:
    # onnxruntime then takes the picture for [1, channels, height, width] and computes with floats.
    image = noise(40, width)
    for new_width in (1, 2, 25, 64, 333):
        np.testing.assert_array_equal(eager(image, 40, new_width), in_onnx(image, 40, new_width))


def test_the_same_size_changes_nothing() -> None:
    image = noise(31, 17)
    np.testing.assert_array_equal(eager(image, 31, 17), image)


def test_resize_by_hand() -> None:
    # From 2 to 4 columns, centres lie at -0.25, 0.25, 0.75, 1.25: 0, a quarter, three quarters, 200.
    image = np.array([[[0] * 3, [200] * 3]], np.uint8)
    assert eager(image, 1, 4)[0, :, 0].tolist() == [0, 50, 150, 200]


def test_halves_are_truncated_not_rounded() -> None:
    image = np.array([[[0] * 3, [1] * 3]], np.uint8)
    assert eager(image, 1, 1)[0, 0].tolist() == [0, 0, 0]
