"""Pictures on a canvas: each change does what its name says, and pixels land where geometry puts them."""

from math import radians
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.errors import RecipeError
from tombola.train.data.augment.warp import WarpSettings, fit_picture
from tombola.train.recipe.recipe import Section, validate
from tombola.train.resize.fit import Fit

Picture = NDArray[np.uint8]


def fitted(
    image: Picture,
    size_hw: tuple[int, int],
    settings: WarpSettings | None = None,
    seed: int = 0,
    fit: Fit = "crop",
) -> Picture:
    return fit_picture(image, size_hw, fit=fit, settings=settings, seed=seed)


def noise(height: int, width: int, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def blob(height: int, width: int, y: float, x: float, spread_px: float = 3) -> Picture:
    """A smooth bright spot on black whose middle is at (x, y), in pixels from the corner."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    grey = 250 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * spread_px**2))
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


def middle_xy(image: Picture) -> tuple[float, float]:
    weights = image[..., 0].astype(np.float64)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return float((columns * weights).sum() / weights.sum()), float((rows * weights).sum() / weights.sum())


ALL = WarpSettings(
    flip=0.5, flip_vertical=0.5, crop=0.5, translate=0.1, rotate=20, stretch=0.3, shear=10, lens=0.2,
    erase=0.5, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1,
)  # fmt: skip


def test_a_picture_of_the_size_comes_back_as_it_is() -> None:
    image = noise(28, 28)
    assert fitted(image, (28, 28)) is image
    assert fitted(image, (28, 28), fit="stretch") is image
    assert (fitted(image, (28, 28), WarpSettings()) == image).all()


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 40),
    st.integers(1, 40),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_picture_fits_any_canvas_and_is_not_changed(
    h: int, w: int, ch: int, cw: int, crop: bool, seed: int
) -> None:
    image = noise(h, w, seed)
    before = image.copy()
    for settings in (None, WarpSettings(), ALL):
        one = fitted(image, (ch, cw), settings, seed, "crop" if crop else "stretch")
        assert one.shape == (ch, cw, 3)
        assert one.dtype == np.uint8
        assert one.flags.c_contiguous
    assert (image == before).all()


@pytest.mark.parametrize("settings", [None, WarpSettings(), ALL])
@pytest.mark.parametrize("size_hw", [(16, 16), (50, 40), (200, 90)])
def test_one_colour_stays_that_colour(settings: WarpSettings | None, size_hw: tuple[int, int]) -> None:
    """Whatever is beyond the border has the border's colour; nothing black comes in."""
    image = np.full((60, 80, 3), (10, 200, 90), np.uint8)
    quiet = settings and WarpSettings(crop=0.5, translate=0.3, rotate=45, stretch=0.5, shear=20, lens=0.3)
    for seed in range(5):
        assert (fitted(image, size_hw, quiet, seed) == (10, 200, 90)).all()


def test_crop_takes_the_middle_and_stretch_takes_all() -> None:
    image = np.zeros((30, 90, 3), np.uint8)
    image[:, 30:60] = 255  # the square in the middle
    assert (fitted(image, (10, 10)) == 255).all()
    assert (fitted(image, (30, 30)) == 255).all()
    assert (fitted(image, (60, 60)) == 255).all()
    stretched = fitted(image, (10, 9), fit="stretch")
    assert (stretched[:, 3:6] == 255).all()
    assert (stretched[:, [0, 1, 2, 6, 7, 8]] == 0).all()
    tall = image.transpose(1, 0, 2).copy()
    assert (fitted(tall, (10, 10)) == 255).all()
    assert (fitted(tall, (10, 10), WarpSettings(rotate=1e-9)) == 255).all()


@pytest.mark.parametrize("settings", [None, WarpSettings(rotate=1e-9)], ids=["resize", "warp"])
def test_what_shrinks_is_averaged(settings: WarpSettings | None) -> None:
    """Lines of one pixel become grey, not black or white as the luck of sampling has it."""
    image = np.zeros((160, 160, 3), np.uint8)
    image[::2] = 254
    small = fitted(image, (20, 20), settings)
    assert np.abs(small.astype(int) - 127).max() <= 1
    # Eight times smaller is three halvings, each the rounded mean of four, for any content.
    image = noise(160, 160)
    wanted = image.astype(int)
    for side in (80, 40, 20):
        wanted = (wanted.reshape(side, 2, side, 2, 3).sum(axis=(1, 3)) + 2) >> 2
    assert (fitted(image, (20, 20), settings) == wanted).all()
    assert np.abs(wanted - image.reshape(20, 8, 20, 8, 3).mean(axis=(1, 3))).max() < 1.5


def test_a_picture_longer_than_opencv_remaps_is_bent_all_the_same() -> None:
    long_rgb_u8 = np.full((8, 40_000, 3), 90, np.uint8)
    bent = fit_picture(long_rgb_u8, (8, 8), fit="stretch", settings=WarpSettings(lens=0.2), seed=1)
    assert bent.shape == (8, 8, 3)
    assert (bent == 90).all()


def test_flips_are_mirror_images() -> None:
    image = noise(20, 30)
    assert (fitted(image, (20, 30), WarpSettings(flip=1)) == image[:, ::-1]).all()
    assert (fitted(image, (20, 30), WarpSettings(flip_vertical=1)) == image[::-1]).all()
    assert (fitted(image, (20, 30), WarpSettings(flip=1, flip_vertical=1)) == image[::-1, ::-1]).all()
    # The same where the mirror is part of a warp.
    both = WarpSettings(flip=1, flip_vertical=1, rotate=1e-9)
    assert np.abs(fitted(image, (20, 30), both).astype(int) - image[::-1, ::-1]).max() <= 1
    flipped = [(fitted(image, (20, 30), WarpSettings(flip=0.3), seed) != image).any() for seed in range(400)]
    assert 0.22 < np.mean(flipped) < 0.38


def test_a_shift_is_of_whole_pixels_and_repeats_the_border() -> None:
    image = noise(20, 40)
    shifts = set()
    for seed in range(60):
        moved = fitted(image, (20, 40), WarpSettings(translate=0.1), seed)
        found = [
            (dx, dy)
            for dx in range(-5, 6)
            for dy in range(-3, 4)
            if (
                moved == image[np.clip(np.arange(20) - dy, 0, 19)][:, np.clip(np.arange(40) - dx, 0, 39)]
            ).all()
        ]
        assert len(found) == 1
        shifts.update(found)
    assert {dx for dx, _ in shifts} == set(range(-4, 5))
    assert {dy for _, dy in shifts} == set(range(-2, 3))


@pytest.mark.parametrize("seed", range(6))
def test_a_turn_moves_a_spot_on_its_circle(seed: int) -> None:
    """The spot's distance to the middle stays, and its angle is one the settings allow."""
    image = blob(64, 64, 32, 50)
    x, y = middle_xy(fitted(image, (64, 64), WarpSettings(rotate=40), seed))
    assert np.hypot(x - 32, y - 32) == pytest.approx(18, abs=0.1)
    angle = np.degrees(np.arctan2(y - 32, x - 32))
    assert abs(angle) <= 40.3
    # A second spot a quarter further is still a quarter further: no mirror, no slant.
    x2, y2 = middle_xy(fitted(blob(64, 64, 50, 32), (64, 64), WarpSettings(rotate=40), seed))
    assert (x2 - 32, y2 - 32) == pytest.approx((-(y - 32), x - 32), abs=0.15)


def test_turns_go_both_ways_as_far_as_asked() -> None:
    image = blob(64, 64, 32, 50)
    ends = [middle_xy(fitted(image, (64, 64), WarpSettings(rotate=30), seed)) for seed in range(200)]
    angles = np.degrees([np.arctan2(y - 32, x - 32) for x, y in ends])
    assert angles.min() < -25
    assert angles.max() > 25
    assert abs(angles.mean()) < 5


def spots(settings: WarpSettings, seed: int, size: int = 64) -> NDArray[np.float64]:
    """Where the points (±12, 0) and (0, ±12) from the middle of a square go, from its middle."""
    ends = []
    for dx, dy in ((12, 0), (-12, 0), (0, 12), (0, -12)):
        image = blob(size, size, size / 2 + dy, size / 2 + dx)
        ends.append(middle_xy(fitted(image, (size, size), settings, seed)))
    return np.array(ends) - size / 2


@pytest.mark.parametrize("seed", range(6))
def test_a_stretch_changes_the_aspect_and_keeps_the_area(seed: int) -> None:
    ends = spots(WarpSettings(stretch=0.5), seed)
    wider, taller = ends[0, 0] / 12, ends[2, 1] / 12
    assert wider * taller == pytest.approx(1, abs=0.02)
    assert 1 / 1.51 < wider / taller < 1.51
    assert np.abs(ends[:2, 1]).max() < 0.1
    assert np.abs(ends[2:, 0]).max() < 0.1


@pytest.mark.parametrize("seed", range(6))
def test_shear_slants_the_upright_and_leaves_the_level(seed: int) -> None:
    ends = spots(WarpSettings(shear=20), seed)
    assert ends[:2] == pytest.approx(np.array([[12, 0], [-12, 0]]), abs=0.1)
    assert ends[2:, 1] == pytest.approx([12, -12], abs=0.1)
    assert ends[2, 0] == pytest.approx(-ends[3, 0], abs=0.1)
    assert abs(ends[2, 0]) <= 12 * np.tan(radians(20)) + 0.1


def test_all_linear_changes_keep_opposite_points_opposite() -> None:
    settings = WarpSettings(rotate=30, stretch=0.3, shear=15, flip=0.5, flip_vertical=0.5)
    for seed in range(5):
        ends = spots(settings, seed)
        assert ends[0] == pytest.approx(-ends[1], abs=0.15)
        assert ends[2] == pytest.approx(-ends[3], abs=0.15)
        area = np.linalg.det(ends[[0, 2]]) / 144
        assert abs(area) == pytest.approx(1, abs=0.05)


def test_crop_keeps_at_least_its_share_of_the_area() -> None:
    """On a ramp the values at the border tell which part is seen."""
    ramp = np.repeat(np.tile(np.arange(0, 250, dtype=np.uint8), (250, 1))[..., None], 3, axis=2)
    shares = []
    for seed in range(200):
        row = fitted(ramp, (50, 50), WarpSettings(crop=0.25), seed)[0, :, 0].astype(float)
        shares.append(((row[-2] - row[1]) / 47 * 50 / 250) ** 2)
    assert min(shares) > 0.24
    assert min(shares) < 0.3
    assert max(shares) <= 1.02
    assert max(shares) > 0.95
    assert np.mean(shares) == pytest.approx(0.625, abs=0.06)  # uniform in 0.25 … 1


def test_a_lens_keeps_the_middle_and_moves_the_rim_both_ways() -> None:
    image = blob(65, 65, 32.5, 32.5)
    for seed in range(4):
        assert middle_xy(fitted(image, (65, 65), WarpSettings(lens=0.3), seed)) == pytest.approx(
            (32.5, 32.5), abs=0.05
        )
    # A spot at 26 of the 46 pixels to the corner: r = 0.566, so it moves by up to lens · r² of its distance.
    ends = [
        middle_xy(fitted(blob(65, 65, 32.5, 58.5, 1.5), (65, 65), WarpSettings(lens=0.2), seed))[0] - 32.5
        for seed in range(60)
    ]
    share = 0.2 * 26**2 / (2 * 32.5**2)
    assert 26 * (1 - share) - 0.5 < min(ends) < 25.4
    assert 26.6 < max(ends) < 26 / (1 - share) + 0.5


def test_erase_hides_one_grey_rectangle() -> None:
    image = np.full((40, 60, 3), 7, np.uint8)
    for seed in range(30):
        hidden = (fitted(image, (40, 60), WarpSettings(erase=1), seed) == 128).all(axis=2)
        rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
        assert hidden.sum() == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert 0.015 < hidden.mean() < 0.36
    assert (image == 7).all()
    assert (fitted(image[:1, :1], (1, 1), WarpSettings(erase=1)) == 128).all()


def test_colours_change_without_moving_anything() -> None:
    image = np.full((20, 20, 3), 60, np.uint8)
    image[5:15, 5:15] = 180
    changed = {fitted(image, (20, 20), WarpSettings(brightness=0.4), seed)[0, 0, 0] for seed in range(40)}
    assert min(changed) < 45
    assert max(changed) > 75
    one = fitted(image, (20, 20), WarpSettings(brightness=0.4, contrast=0.3, hue=0.1, saturation=0.5), 3)
    assert len(np.unique(one[5:15, 5:15])) == 1
    assert (one == one[..., :1]).all()  # grey stays grey


def test_grey_stays_grey_and_chance_comes_from_the_generator_alone() -> None:
    grey = np.repeat(noise(28, 28)[..., :1], 3, axis=2)
    np.random.seed(1)
    first = fitted(grey, (28, 28), ALL, 7)
    np.random.seed(2)
    assert (first == fitted(grey, (28, 28), ALL, 7)).all()
    assert (first == first[..., :1]).all()
    assert (first != fitted(grey, (28, 28), ALL, 8)).any()


def test_one_resampling_against_opencv_step_by_step() -> None:
    """A turn by a known angle equals OpenCV's own rotation about the middle."""
    image = np.asarray(cv2.GaussianBlur(noise(41, 41), (9, 9), 2), np.uint8)
    chance = np.random.default_rng(5).random(12)
    angle = 25 * (2 * chance[4] - 1)
    matrix = cv2.getRotationMatrix2D((20, 20), -angle, 1)
    expected = cv2.warpAffine(image, matrix, (41, 41), borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(fitted(image, (41, 41), WarpSettings(rotate=25), 5).astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flip": 1.1}, "flip = 1.1; give a share from 0 to 1"),
        ({"crop": 0}, "crop = 0 keeps nothing"),
        ({"crop": -0.1}, "crop = -0.1"),
        ({"rotate": 181}, "rotate = 181; give degrees from 0 to 180"),
        ({"shear": 61}, "shear = 61; give degrees from 0 to 60"),
        ({"lens": 0.31}, "lens = 0.31; give a share from 0 to 0.3"),
        ({"translate": float("nan")}, "translate = nan"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        WarpSettings(**settings)


def test_settings_are_a_table_of_a_recipe() -> None:
    class Recipe(Section):
        augment: WarpSettings = WarpSettings()

    recipe = validate(Recipe, {"augment": {"flip": 0.5, "rotate": 10}}, Path("recipe.toml"))
    assert recipe.augment == WarpSettings(flip=0.5, rotate=10.0)
    with pytest.raises(RecipeError, match=r"augment\.spin is not a known key"):
        validate(Recipe, {"augment": {"spin": 1}}, Path("recipe.toml"))
