"""roi_align and roi_pool: eagerly and in ONNX, against their definitions as loops, and by hand."""

from collections.abc import Callable
from math import ceil, copysign, floor
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]
SCALE, SIZE = 0.25, 2


class Align(nn.Module):
    def __init__(self, sampling_ratio: int = 2) -> None:
        super().__init__()
        self.sampling_ratio = sampling_ratio

    def forward(self, features: Tensor, rois: Tensor, picture: Tensor) -> Tensor:
        pooled: Tensor = torch.ops.tombola.roi_align(
            features, rois, picture, SCALE, SIZE, self.sampling_ratio
        )
        return pooled


class Pool(nn.Module):
    def forward(self, features: Tensor, rois: Tensor, picture: Tensor) -> Tensor:
        pooled: Tensor = torch.ops.tombola.roi_pool(features, rois, picture, SCALE, SIZE)
        return pooled


def align_reference(features: Array, rois: Array, pictures: Array, sampling_ratio: int) -> Array:
    """He et al. 2017, section 3: the mean of sampling_ratio² bilinear samples in each bin."""
    channels, height, width = features.shape[1:]
    out = np.zeros((len(rois), channels, SIZE, SIZE))
    for k, (x1, y1, x2, y2) in enumerate(rois * SCALE - 0.5):
        for i, j in np.ndindex(SIZE, SIZE):
            for a, b in np.ndindex(sampling_ratio, sampling_ratio):
                y = y1 + (y2 - y1) * (i + (a + 0.5) / sampling_ratio) / SIZE
                x = x1 + (x2 - x1) * (j + (b + 0.5) / sampling_ratio) / SIZE
                if -1 <= y <= height and -1 <= x <= width:
                    out[k, :, i, j] += bilinear(features[pictures[k]], y, x) / sampling_ratio**2
    return out


def bilinear(feature_map: Array, y: float, x: float) -> Array:
    height, width = feature_map.shape[1:]
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(floor(y), height - 2), min(floor(x), width - 2)
    dy, dx = y - top, x - left
    corner = feature_map[:, top : top + 2, left : left + 2]
    return np.asarray(np.einsum("chw,h,w->c", corner, [1 - dy, dy], [1 - dx, dx]))


def pool_reference(features: Array, rois: Array, pictures: Array) -> Array:
    """Girshick 2015, section 2.1: rounded corners, the last cell included, an empty bin is 0."""
    channels, height, width = features.shape[1:]
    out = np.zeros((len(rois), channels, SIZE, SIZE))
    for k, corners in enumerate(rois * SCALE):
        x1, y1, x2, y2 = (int(copysign(floor(abs(c) + 0.5), c)) for c in corners)
        bin_h, bin_w = max(y2 - y1 + 1, 1) / SIZE, max(x2 - x1 + 1, 1) / SIZE
        for i, j in np.ndindex(SIZE, SIZE):
            top, bottom = (min(max(v + y1, 0), height) for v in (floor(i * bin_h), ceil((i + 1) * bin_h)))
            left, right = (min(max(v + x1, 0), width) for v in (floor(j * bin_w), ceil((j + 1) * bin_w)))
            if bottom > top and right > left:
                out[k, :, i, j] = features[pictures[k], :, top:bottom, left:right].max(axis=(1, 2))
    return out


ROIS = np.array(
    [
        [0, 0, 16, 16],
        [3.3, 5.1, 20.7, 11.9],
        [0, 0, 48, 40],  # all of the map
        [-30, -6, 5, 9],  # over the left and upper border
        [41, 33, 90, 70],  # over the right and lower border
        [47.9, 39.9, 48, 40],  # the last cell
        [200, 200, 240, 260],  # far outside
        [8, 8, 8, 8],  # no area
        [6, 6, 10, 10],  # corners at half cells
    ],
    np.float32,
)
PICTURES = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0])
EXAMPLE = (torch.rand(2, 3, 10, 12), torch.tensor(ROIS[:4]), torch.tensor(PICTURES[:4]))
DYNAMIC = ((2, 3), (0,), (0,))


@pytest.fixture(scope="module")
def features() -> Array:
    return np.random.default_rng(3).standard_normal((2, 3, 10, 12)).astype(np.float32)


@pytest.mark.parametrize("sampling_ratio", [1, 2, 3])
def test_align_is_its_definition(sampling_ratio: int, features: Array) -> None:
    pooled = Align(sampling_ratio)(torch.tensor(features), torch.tensor(ROIS), torch.tensor(PICTURES))
    np.testing.assert_allclose(pooled, align_reference(features, ROIS, PICTURES, sampling_ratio), atol=2e-6)


def test_align_by_hand() -> None:
    ramp = torch.arange(6.0).expand(1, 1, 6, 6)  # the value of a cell is its column
    # 16 px are 4 cells; bins span columns -0.5 + 0..2 and 2..4, so their centres are 0.5 and 2.5. The first
    # bin's samples lie at 0 and 1.
    pooled = Align()(ramp, torch.tensor([[0.0, 0.0, 16.0, 16.0]]), torch.tensor([0]))
    assert pooled[0, 0].tolist() == [[0.5, 2.5], [0.5, 2.5]]


def test_align_in_onnx_answers_alike(export_alone: Callable[..., Any], features: Array) -> None:
    run = export_alone(Align(), EXAMPLE, DYNAMIC)
    np.testing.assert_allclose(
        run(features, ROIS, PICTURES)[0], align_reference(features, ROIS, PICTURES, 2), atol=2e-6
    )
    other = np.random.default_rng(4).standard_normal((2, 3, 7, 5)).astype(np.float32)
    wanted = Align()(torch.tensor(other), torch.tensor(ROIS[:1]), torch.tensor(PICTURES[:1]))
    np.testing.assert_allclose(run(other, ROIS[:1], PICTURES[:1])[0], wanted, atol=2e-6)
    assert run(other, ROIS[:0], PICTURES[:0])[0].shape == (0, 3, SIZE, SIZE)


def test_align_gradient_is_that_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 2, 5, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    rois, pictures = torch.tensor(ROIS[:5], dtype=torch.float64), torch.tensor(PICTURES[:5])
    assert torch.autograd.gradcheck(lambda f: Align()(f, rois, pictures), (features,))


def test_pool_is_its_definition(features: Array) -> None:
    pooled = Pool()(torch.tensor(features), torch.tensor(ROIS), torch.tensor(PICTURES))
    np.testing.assert_array_equal(pooled, pool_reference(features, ROIS, PICTURES))


def test_pool_by_hand() -> None:
    cells = torch.arange(16.0).view(1, 1, 4, 4)
    # 0..15 px round to cells 0..4, five of them, of which the map has four: bins of 2.5 cells overlap.
    pooled = Pool()(cells, torch.tensor([[0.0, 0.0, 15.0, 15.0]]), torch.tensor([0]))
    assert pooled[0, 0].tolist() == [[10.0, 11.0], [14.0, 15.0]]


def test_pool_in_onnx_answers_alike(export_alone: Callable[..., Any], features: Array) -> None:
    run = export_alone(Pool(), EXAMPLE, DYNAMIC)
    np.testing.assert_array_equal(
        run(features, ROIS, PICTURES)[0], pool_reference(features, ROIS, PICTURES).astype(np.float32)
    )


def test_pool_gradient_is_that_of_finite_differences() -> None:
    # All values differ by more than the step, so the maximum never changes hands.
    generator = torch.Generator().manual_seed(1)
    features = torch.randperm(2 * 2 * 5 * 6, generator=generator).double().view(2, 2, 5, 6).requires_grad_()
    rois, pictures = torch.tensor(ROIS[:5], dtype=torch.float64), torch.tensor(PICTURES[:5])
    assert torch.autograd.gradcheck(lambda f: Pool()(f, rois, pictures), (features,))
