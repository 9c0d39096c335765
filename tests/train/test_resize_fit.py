"""Training and a deployed network see the same pixels, whatever the size of the picture."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.runtime.pictures.shrink import Shrink, halve
from tombola.train.data.augment.warp import fit_picture
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.resize.fit import Fit, fill, fit_inside, inside_hw, middle
from tombola.train.tasks.detect.batches import _fit


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), dtype=np.uint8)


def seen_by_detector(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The pixels that the deployed network sees, padding apart."""
    pixels, (height, width), _ = PictureInput(size, 32, (0, 0, 0), (1, 1, 1))(torch.from_numpy(image))
    return np.asarray(pixels[0, :, :height, :width].permute(1, 2, 0), np.uint8)


def seen_by_classifier(image: NDArray[np.uint8], size_hw: tuple[int, int], fit: Fit) -> NDArray[np.uint8]:
    network_input = ClassifierInput(size_hw, fit=fit, channels=3, mean=(0, 0, 0), scale=(1, 1, 1))
    return np.asarray(network_input(torch.from_numpy(image))[0].permute(1, 2, 0), np.uint8)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), size=st.integers(8, 60))
def test_a_detector_is_trained_on_the_pixels_it_will_see(height: int, width: int, size: int) -> None:
    image = noise(height, width)
    canvas, factors = _fit(image, (size, size), (9.0, 9.0, 9.0))
    seen = seen_by_detector(image, size)
    assert max(seen.shape[:2]) == size
    np.testing.assert_array_equal(canvas[: seen.shape[0], : seen.shape[1]], seen)
    assert (canvas[seen.shape[0] :] == 9).all()
    assert (canvas[:, seen.shape[1] :] == 9).all()
    np.testing.assert_allclose(factors * ([width, height] * 2), [seen.shape[1], seen.shape[0]] * 2, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    size_hw=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    fit=st.sampled_from(["crop", "stretch"]),
)
def test_a_classifier_is_trained_on_the_pixels_it_will_see(
    height: int, width: int, size_hw: tuple[int, int], fit: Fit
) -> None:
    image = noise(height, width)
    trained_on = fit_picture(image, size_hw, fit=fit, settings=None, seed=0)
    np.testing.assert_array_equal(trained_on, seen_by_classifier(image, size_hw, fit))


@pytest.mark.parametrize("side", [500, 1000, 2000, 4000])
def test_noise_and_a_thin_wire_reach_the_network_alike_at_every_size(side: int) -> None:
    """What a photo's size must not change: noise is averaged away, a bright line keeps its light."""
    rng = np.random.default_rng(0)
    height = side * 3 // 4
    image = np.clip(128 + rng.normal(0, 40, (height, side, 3)), 0, 255).astype(np.uint8)
    image[height // 2 - 1 : height // 2 + 1] = 255
    seen = fit_inside(image, (320, 320)).astype(float)
    factor = side / 320
    assert seen[:100].std() < 1.6 * 40 / factor  # the plain mean of factor² pixels leaves 40 / factor
    light = (seen[110:130] - seen[:100].mean()).mean(axis=(1, 2)).sum()
    assert light == pytest.approx(2 * 127 / factor, rel=0.35)


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), size=st.integers(8, 640))
def test_after_the_halvings_less_than_a_factor_of_two_is_left(height: int, width: int, size: int) -> None:
    count = Shrink((size, size), "longer").halvings((height, width))
    left = max(height >> count, width >> count)
    assert left < 2 * size or min(height, width) >> count == 1
    assert left >= size or count == 0
    assert min(height >> count, width >> count) >= 1
    count = Shrink((size, 2 * size), "both").halvings((height, width))
    assert height >> count < 2 * size or width >> count < 4 * size
    assert count == 0 or (height >> count >= size and width >> count >= 2 * size)


@given(height=st.integers(2, 40), width=st.integers(2, 40))
def test_a_halving_is_the_mean_of_four_with_half_rounded_up(height: int, width: int) -> None:
    image = noise(height, width)
    even = image[: height // 2 * 2, : width // 2 * 2].astype(int)
    wanted = (even.reshape(height // 2, 2, width // 2, 2, 3).sum(axis=(1, 3)) + 2) >> 2
    np.testing.assert_array_equal(halve(image, 1), wanted)
    assert halve(image, 0) is image


@given(st.integers(1, 4000), st.integers(1, 4000), st.tuples(st.integers(8, 600), st.integers(8, 600)))
def test_a_picture_inside_a_canvas_touches_it_and_keeps_its_shape(
    height: int, width: int, canvas_hw: tuple[int, int]
) -> None:
    new_h, new_w = inside_hw(height, width, canvas_hw)
    factor = min(canvas_hw[0] / height, canvas_hw[1] / width)
    assert new_h == canvas_hw[0] or new_w == canvas_hw[1]
    assert abs(new_h - height * factor) <= 0.5 or new_h == 1
    assert abs(new_w - width * factor) <= 0.5 or new_w == 1


def test_the_middle_by_hand() -> None:
    assert middle(100, 300, (28, 28)) == (0, 100, 100, 100)
    assert middle(300, 100, (28, 14)) == (50, 0, 200, 100)
    assert middle(1, 500, (8, 40)) == (0, 247, 1, 5)


def test_what_fills_comes_back_as_it_is_and_is_never_changed() -> None:
    image = noise(40, 60)
    before = image.copy()
    assert fill(image, (40, 60), "crop") is image
    assert fill(image, (40, 30), "crop").flags.c_contiguous
    np.testing.assert_array_equal(fill(image, (40, 30), "crop"), image[:, 15:45])
    np.testing.assert_array_equal(image, before)


def test_opencv_rounds_where_we_truncate() -> None:
    """The one bilinear step against OpenCV's: never brighter, never darker by more than a level and a bit."""
    image = noise(200, 310)
    ours = fit_inside(image, (160, 160)).astype(int)
    theirs = cv2.resize(image, (160, 103), interpolation=cv2.INTER_LINEAR)
    assert ours.shape == theirs.shape
    assert (np.abs(ours - theirs) <= 1).all()
