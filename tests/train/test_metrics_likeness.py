"""PSNR and SSIM against scikit-image."""

import numpy as np
import pytest
import torch

from tombola.train.metrics.likeness import psnr_db, ssim


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 19, 32), (1, 7, 7)])
def test_likeness_is_that_of_scikit_image(shape: tuple[int, int, int]) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(sum(shape))
    wanted = rng.random((4, *shape))
    found = (wanted + rng.normal(0, [[[[0.0]]], [[[0.02]]], [[[0.2]]], [[[1.0]]]], wanted.shape)).clip(0, 1)
    expected = [
        metrics.structural_similarity(a, b, data_range=1.0, channel_axis=0)
        for a, b in zip(found, wanted, strict=True)
    ]
    pair = torch.from_numpy(found), torch.from_numpy(wanted)
    assert np.allclose(ssim(*pair).numpy(), expected, atol=1e-9)
    assert expected[0] == 1
    noise = [metrics.peak_signal_noise_ratio(found[i], wanted[i], data_range=1.0) for i in (1, 2, 3)]
    assert np.allclose(psnr_db(*pair).numpy(), [100, *noise])


def test_pictures_smaller_than_a_window() -> None:
    images = torch.rand(2, 1, 3, 5)
    assert torch.allclose(ssim(images, images), torch.ones(2))
    assert (ssim(images, 1 - images) < 0.9).all()
