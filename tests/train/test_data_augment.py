"""Augmentation: boxes stay on what they mark, rules for cut boxes, chance only from the generator.

Pictures are black with one filled rectangle a box, so that where a box must be can be read off the pixels.
"""

from time import perf_counter

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.errors import DataError, RecipeError
from tombola.train.data.augment.augment import AugmentSettings, augment
from tombola.train.data.augment.colours import change_colours
from tombola.train.data.augment.mosaic import mosaic
from tombola.train.data.augment.window import BORDER_RGB, Sample, crop, flip, pad, resize, visible_share

NOTHING = AugmentSettings(
    flip=0, crop=0, scale=(1, 1), stretch=0, brightness=0, contrast=0, saturation=0, hue=0
)
GEOMETRY = AugmentSettings(brightness=0, contrast=0, saturation=0, hue=0)


COLOURS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0]], np.uint8)


def sample(boxes: list[list[int]], size_hw: tuple[int, int] = (120, 160)) -> Sample:
    """Paint box i in colour i on black."""
    image_rgb_u8 = np.zeros((*size_hw, 3), np.uint8)
    for (x1, y1, x2, y2), colour in zip(boxes, COLOURS, strict=False):
        image_rgb_u8[y1:y2, x1:x2] = colour
    count = len(boxes)
    boxes_xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return image_rgb_u8, boxes_xyxy, np.arange(count, dtype=np.int64), np.zeros(count, np.bool_)


def painted_box(image_rgb_u8: NDArray[np.uint8], label: int) -> NDArray[np.float64]:
    """Return x1 y1 x2 y2 of the pixels of this colour, blends of more than half of it included; the border
    is darker in every channel."""
    limit = max(BORDER_RGB)
    mine = ((image_rgb_u8 > limit) == (COLOURS[label] > limit)).all(axis=2)
    rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def same(a: Sample, b: Sample) -> bool:
    return (
        np.array_equal(a[0], b[0])
        and np.array_equal(a[1], b[1])
        and np.array_equal(a[2], b[2])
        and np.array_equal(a[3], b[3])
    )


def run(one: Sample, chosen: AugmentSettings, seed: int) -> Sample:
    return augment(*one, settings=chosen, rng=np.random.default_rng(seed))


TWO = [[10, 10, 60, 70], [90, 40, 150, 110]]


def test_nothing_set_changes_nothing() -> None:
    one = sample(TWO)
    assert same(run(one, NOTHING, 0), one)


@pytest.mark.parametrize("seed", range(60))
def test_boxes_stay_on_what_they_mark(seed: int) -> None:
    image_rgb_u8, boxes_xyxy, labels, _ = run(sample(TWO), GEOMETRY, seed)
    assert len(labels) >= 1
    for box, label in zip(boxes_xyxy, labels, strict=True):
        assert box == pytest.approx(painted_box(image_rgb_u8, label), abs=1.01)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 90),
    st.integers(1, 90),
    st.lists(st.tuples(*[st.floats(0, 0.98)] * 2, *[st.floats(0.02, 1)] * 2), max_size=5),
    st.booleans(),
)
def test_any_picture_gives_a_valid_one(
    seed: int, height: int, width: int, shares: list[tuple[float, ...]], hard: bool
) -> None:
    corners = np.array(shares, np.float32).reshape(-1, 4)
    corners[:, 2:] = np.minimum(corners[:, :2] + corners[:, 2:], 1)
    boxes = (corners * np.array([width, height, width, height], np.float32)).astype(np.float32)
    one = (
        np.full((height, width, 3), 90, np.uint8),
        boxes,
        np.arange(len(boxes), dtype=np.int64),
        np.full(len(boxes), hard),
    )
    image_rgb_u8, boxes_xyxy, labels, difficult = run(one, AugmentSettings(), seed)
    new_h, new_w = image_rgb_u8.shape[:2]
    assert image_rgb_u8.dtype == np.uint8
    assert min(new_h, new_w) >= 1
    assert [str(part.dtype) for part in (boxes_xyxy, labels, difficult)] == ["float32", "int64", "bool"]
    assert boxes_xyxy.shape == (len(labels), 4)
    assert (boxes_xyxy[:, :2] < boxes_xyxy[:, 2:]).all()
    assert (boxes_xyxy >= -1e-3).all()
    assert (boxes_xyxy <= np.array([new_w, new_h, new_w, new_h]) + 1e-3).all()
    assert (len(labels) > 0) == (len(boxes) > 0)
    assert len(set(labels.tolist())) == len(labels)


def test_the_generator_is_the_only_source_of_chance_and_inputs_are_left_alone() -> None:
    one = sample(TWO)
    kept = sample(TWO)
    first = [run(one, AugmentSettings(), seed) for seed in range(8)]
    np.random.seed(1)
    second = [run(one, AugmentSettings(), seed) for seed in range(8)]
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    assert len({a[0].shape for a in first}) > 3
    assert same(one, kept)


def test_a_difficult_box_does_not_count_as_the_one_that_is_kept() -> None:
    image_rgb_u8, boxes_xyxy, labels, _ = sample([[0, 0, 20, 20], [100, 80, 158, 118]])
    difficult = np.array([False, True])
    for seed in range(60):
        kept = run((image_rgb_u8, boxes_xyxy, labels, difficult), AugmentSettings(crop=1), seed)
        assert 0 in kept[2]


def test_chances_of_flip_and_crop_are_as_set() -> None:
    one = sample([[10, 10, 60, 70]])
    always = AugmentSettings(**{**vars(NOTHING), "flip": 1})
    assert run(one, always, 3)[1].tolist() == [[100, 10, 150, 70]]
    half = AugmentSettings(**{**vars(NOTHING), "flip": 0.5})
    flips = sum(run(one, half, seed)[1][0, 0] == 100 for seed in range(400))
    assert 150 < flips < 250  # 200 ± 5 standard deviations
    cropped = AugmentSettings(**{**vars(NOTHING), "crop": 1, "crop_size": (0.3, 0.6)})
    shapes = [run(one, cropped, seed)[0].shape for seed in range(60)]
    cut = [shape for shape in shapes if shape != one[0].shape]  # the whole is left where no window fits
    assert len(cut) > 15
    assert all(36 <= height <= 72 and 48 <= width <= 96 for height, width, _ in cut)


def test_zoom_out_adds_a_border_in_its_own_colour() -> None:
    out = AugmentSettings(**{**vars(GEOMETRY), "crop": 0, "scale": (0.5, 0.5), "stretch": 0, "brightness": 1})
    image_rgb_u8, boxes_xyxy, _, _ = run(sample([[0, 0, 160, 120]]), out, 0)
    assert image_rgb_u8.shape == (240, 320, 3)
    x1, y1, x2, y2 = boxes_xyxy[0].astype(int)
    assert (x2 - x1, y2 - y1) == (160, 120)
    outside = np.ones((240, 320), np.bool_)
    outside[y1:y2, x1:x2] = False
    assert (image_rgb_u8[outside] == BORDER_RGB).all()


def test_crop_drops_boxes_of_which_less_than_three_tenths_is_left() -> None:
    one = sample([[0, 0, 100, 10], [0, 20, 100, 30], [0, 40, 60, 50]])
    one[1][1, 0] = 10  # 90 wide
    _, boxes_xyxy, labels, _ = crop(one, (71, 0, 160, 120))
    assert (labels.tolist(), boxes_xyxy.tolist()) == ([1], [[0, 20, 29, 30]])  # 29 of 100, 29 of 90, 0 of 60
    assert visible_share(one[1], (71, 0, 160, 120)) == pytest.approx(np.array([0.29, 29 / 90, 0]))


def test_window_steps_by_worked_values() -> None:
    one = sample([[10, 20, 30, 50]], (100, 80))
    assert flip(one)[1].tolist() == [[50, 20, 70, 50]]
    assert (flip(one)[0] == one[0][:, ::-1]).all()
    assert resize(one, 200, 40)[1].tolist() == [[5, 40, 15, 100]]
    padded = pad(one, (-5, -7, 81, 102), (0, 0, 80, 100))
    assert padded[0].shape == (109, 86, 3)
    assert padded[1].tolist() == [[15, 27, 35, 57]]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_flipping_twice_is_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 40, (3, 2))
    one = sample(np.concatenate([corner, corner + rng.integers(1, 40, (3, 2))], axis=1).tolist(), (80, 90))
    assert same(flip(flip(one)), one)


GREY = np.full((4, 4, 3), 100, np.uint8)
ORANGE = np.full((4, 4, 3), (200, 100, 50), np.uint8)


def extremes(image_rgb_u8: NDArray[np.uint8], **strength: float) -> list[NDArray[np.uint8]]:
    chosen = AugmentSettings(**{**vars(NOTHING), **strength})
    return [change_colours(image_rgb_u8, chosen, np.random.default_rng(seed))[0, 0] for seed in range(200)]


def test_colour_changes_stay_within_their_strength() -> None:
    assert {tuple(pixel) for pixel in extremes(GREY, saturation=1, hue=1)} == {(100, 100, 100)}
    brightest = np.array(extremes(GREY, brightness=0.3)).astype(int)
    assert (brightest.min(), brightest.max()) == (pytest.approx(71, abs=2), pytest.approx(129, abs=2))
    contrasts = np.array(extremes(GREY, contrast=0.5)).astype(int)  # 128 - 28 × 0.5 … 1.5
    assert (contrasts.min(), contrasts.max()) == (pytest.approx(87, abs=2), pytest.approx(113, abs=2))
    saturated = np.array(extremes(ORANGE, saturation=0.2)).astype(int)
    assert (np.abs(saturated[:, 0] - 200) <= 2).all()
    assert saturated[:, 2].min() == pytest.approx(20, abs=3)  # saturation 0.75 × 1.2 = 0.9 of 200
    assert saturated[:, 2].max() == pytest.approx(80, abs=3)  # 0.75 × 0.8 = 0.6


def test_hue_turns_red_to_blue_by_a_third() -> None:
    red = np.full((1, 1, 3), (255, 0, 0), np.uint8)
    turned = np.array(extremes(red, hue=1 / 3))
    hues = cv2.cvtColor(turned[None], cv2.COLOR_RGB2HSV)[0, :, 0].astype(int)
    assert set(hues) <= set(range(61)) | set(range(120, 180))
    assert len(set(hues)) > 60


def test_mosaic_fills_the_square_with_four_pictures_and_moves_their_boxes() -> None:
    boxes = [[20, 20, 100, 100]]
    four = []
    for number in range(4):
        image_rgb_u8, boxes_xyxy, _, difficult = sample(boxes, (120, 120 + 20 * number))
        image_rgb_u8[20:100, 20:100] = COLOURS[number]
        image_rgb_u8[(image_rgb_u8 == 0).all(axis=2)] = 10
        four.append((image_rgb_u8, boxes_xyxy, np.array([number], np.int64), difficult))
    for seed in range(20):
        image_rgb_u8, boxes_xyxy, labels, difficult = mosaic(four, rng=np.random.default_rng(seed))
        assert image_rgb_u8.shape == (120, 120, 3)
        assert image_rgb_u8.any(axis=2).all()  # no hole
        assert labels.tolist() == [0, 1, 2, 3]
        assert not difficult.any()
        for box, label in zip(boxes_xyxy, labels, strict=True):
            assert box == pytest.approx(painted_box(image_rgb_u8, label), abs=1.51)


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=4, max_size=4),
)
def test_mosaic_of_any_sizes(seed: int, sizes: list[tuple[int, int]]) -> None:
    four = [sample([[0, 0, width, height]], (height, width)) for height, width in sizes]
    image_rgb_u8, boxes_xyxy, _, _ = mosaic(four, rng=np.random.default_rng(seed))
    assert image_rgb_u8.shape == (max(sizes[0]), max(sizes[0]), 3)
    assert (boxes_xyxy[:, :2] < boxes_xyxy[:, 2:]).all()
    assert (boxes_xyxy <= max(sizes[0]) + 1e-3).all()


def test_mosaic_takes_four() -> None:
    with pytest.raises(DataError, match="takes 4 pictures, got 3"):
        mosaic([sample(TWO)] * 3, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"flip": 1.5}, r"flip = 1\.5"),
        ({"hue": -0.1}, r"hue = -0\.1"),
        ({"crop": float("nan")}, "crop = nan"),
        ({"crop_size": (0.0, 1.0)}, "crop_size"),
        ({"crop_size": (0.9, 0.5)}, "crop_size"),
        ({"scale": (2.0, 1.0)}, "scale"),
        ({"scale": (0.0, 1.0)}, "scale"),
    ],
)
def test_settings_out_of_range_are_named(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        AugmentSettings(**wrong)  # type: ignore[arg-type]


def test_a_picture_takes_few_milliseconds() -> None:
    one = sample(TWO, (288, 384))
    start = perf_counter()
    for seed in range(40):
        run(one, AugmentSettings(), seed)
    assert (perf_counter() - start) / 40 < 0.03  # 2 ms where nothing else runs
