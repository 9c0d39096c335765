"""What a classifier sees of a picture."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tombola.train.networks.inputs.classifier_input import ClassifierInput


def grey_input(size_hw: tuple[int, int] = (28, 28), fit: str = "crop") -> ClassifierInput:
    return ClassifierInput(size_hw, fit=fit, channels=1, mean=(0.0,), scale=(1.0,))  # type: ignore[arg-type]


def test_a_grey_picture_of_the_right_size_is_only_normalised() -> None:
    grey = np.arange(28 * 28, dtype=np.uint32).reshape(28, 28).astype(np.uint8)
    seen = ClassifierInput((28, 28), fit="crop", channels=1, mean=(73.0,), scale=(0.5,))(
        torch.from_numpy(np.repeat(grey[..., None], 3, axis=2))
    )
    np.testing.assert_allclose(seen[0, 0].numpy(), (grey.astype(np.float32) - 73) * 0.5, atol=1e-4)


def test_colour_becomes_grey_as_opencv_does_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    seen = grey_input()(torch.from_numpy(image))[0, 0].numpy()
    np.testing.assert_allclose(seen, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), atol=0.6)


def test_each_channel_has_its_own_mean_and_scale() -> None:
    image = torch.full((8, 8, 3), 100, dtype=torch.uint8)
    seen = ClassifierInput((8, 8), fit="stretch", channels=3, mean=(100, 90, 110), scale=(1, 0.5, 0.1))(image)
    assert seen.shape == (1, 3, 8, 8)
    torch.testing.assert_close(seen[0, :, 0, 0], torch.tensor([0.0, 5.0, -1.0]))


@pytest.mark.parametrize(("height", "width"), [(100, 300), (300, 100)])
def test_crop_sees_the_centre_and_stretch_the_whole(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    image[top : top + short, left : left + short] = 200
    assert float(grey_input()(torch.from_numpy(image)).min()) == pytest.approx(200, abs=1e-3)
    whole = grey_input(fit="stretch")(torch.from_numpy(image))
    assert float((whole > 100).float().mean()) == pytest.approx(1 / 3, abs=0.05)


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size_hw=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    fit=st.sampled_from(["crop", "stretch"]),
)
def test_any_picture_gets_the_size_and_keeps_its_range(
    height: int, width: int, size_hw: tuple[int, int], fit: str
) -> None:
    rng = np.random.default_rng([height, width])
    image = rng.integers(50, 150, (height, width, 3), dtype=np.uint8)
    seen = grey_input(size_hw, fit)(torch.from_numpy(image))
    assert seen.shape == (1, 1, *size_hw)
    assert 49 <= float(seen.min()) <= float(seen.max()) <= 150
