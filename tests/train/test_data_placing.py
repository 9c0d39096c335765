"""Where pictures and boxes come to lie: pixels and boxes tell of each other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.errors import RecipeError
from tombola.train.data.augment.augment import AugmentSettings, augment
from tombola.train.data.augment.placing import Placing, Turn, draw_turn, place
from tombola.train.data.augment.window import BORDER_RGB, Sample

SIZE_HW = (60, 80)
TURNS = AugmentSettings(rotate=40, shear=15, translate=0.1, lens=0.3)
chances = st.tuples(*[st.floats(0, 1)] * 5)


def spot(height: int, width: int, x: float, y: float) -> NDArray[np.uint8]:
    """A smooth bright spot on black around (x, y), in pixels from the corner."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    grey = 250 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 4.5)
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


def middle_xy(image: NDArray[np.uint8]) -> tuple[float, float]:
    weights = image[..., 0].astype(np.float64)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return float((columns * weights).sum() / weights.sum()), float((rows * weights).sum() / weights.sum())


def placing(chance: tuple[float, ...], step: float = 1.0) -> Placing:
    turn = draw_turn(TURNS, chance, SIZE_HW)
    return place(SIZE_HW, (40 * step, 30 * step), (step, step), turn, (False, chance[0] > 0.5))


@given(chances, st.floats(32, 48), st.floats(24, 36))
def test_a_point_goes_where_its_pixels_go(chance: tuple[float, ...], x: float, y: float) -> None:
    placed = placing(chance)
    seen = middle_xy(placed.resample(spot(*SIZE_HW, x, y), (0, 0, 0)))
    assert seen == pytest.approx(placed.points(np.array([x, y])), abs=0.35)


@given(chances)
def test_a_point_and_back(chance: tuple[float, ...]) -> None:
    """Offsets are bent and laid out by hand here; the points must come back to where they began."""
    placed = placing(chance)
    canvas_xy = np.random.default_rng(0).uniform((0, 0), SIZE_HW[::-1], (50, 2))
    offsets = canvas_xy - (40, 30)
    bent = offsets * (1 + placed.bend * (offsets**2).sum(axis=1, keepdims=True) / 50**2)
    (a, b, x), (c, d, y) = placed.rows
    picture_xy = bent @ np.array(((a, c), (b, d))) + (x, y)
    assert placed.points(picture_xy) == pytest.approx(canvas_xy, abs=1e-4)


@given(chances, st.sampled_from([1.0, 2.0, 5.0]))
def test_the_hull_of_a_box_holds_its_pixels_and_touches_them(chance: tuple[float, ...], step: float) -> None:
    box = np.array([[34, 24, 48, 34]], np.float32) * step
    x1, y1, x2, y2 = (int(side) for side in box[0])
    image = np.zeros((round(60 * step), round(80 * step), 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    placed = placing(chance, step)
    rows, columns, _ = np.nonzero(placed.resample(image, (0, 0, 0)) > 100)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert placed.boxes(box)[0] == pytest.approx(seen, abs=1.6)


def test_a_quarter_turn_by_hand() -> None:
    placed = place((80, 60), (40, 30), (1, 1), Turn(angle=np.pi / 2))
    # The picture's right comes to be the canvas' bottom.
    assert placed.boxes(np.array([[70, 10, 80, 30]], np.float32))[0] == pytest.approx([30, 70, 50, 80])


def test_what_a_barrel_does_not_show_is_off_the_canvas() -> None:
    placed = place((100, 100), (50, 50), (1, 1), Turn(bend=-0.3))
    x, y = placed.points(np.array([400.0, 50.0]))
    assert x > 100
    assert y == pytest.approx(50)


@pytest.fixture
def sample() -> Sample:
    """Two boxes of one colour each on grey."""
    image = np.full((90, 120, 3), 128, np.uint8)
    boxes = np.array([[30, 20, 60, 50], [70, 40, 100, 80]], np.float32)
    for (x1, y1, x2, y2), colour in zip(boxes.astype(int), ((255, 0, 0), (0, 0, 255)), strict=True):
        image[y1:y2, x1:x2] = colour
    return image, boxes, np.array([3, 5]), np.array([False, False])


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_turned_boxes_stay_on_their_colours(seed: int) -> None:
    image, boxes, labels, difficult = sample.__wrapped__()  # type: ignore[attr-defined]
    changed = AugmentSettings(
        rotate=30, shear=15, translate=0.1, lens=0.2, brightness=0, contrast=0, saturation=0, hue=0
    )
    turned, moved, kept, _ = augment(
        image, boxes, labels, difficult, settings=changed, rng=np.random.default_rng(seed)
    )
    assert len(kept) >= 1
    assert moved.min() >= 0
    assert (moved[:, 2:] <= np.array(turned.shape[1::-1])).all()
    for box, label in zip(moved, kept, strict=True):
        lit = turned[..., 0 if label == 3 else 2].astype(int) - turned[..., 1] > 100
        rows, columns = np.nonzero(lit)
        x1, y1, x2, y2 = box
        seen = columns.min() - x1, rows.min() - y1, x2 - columns.max() - 1, y2 - rows.max() - 1
        assert min(seen) > -2.5
        # The hull of a box that the canvas cuts reaches to its edge; another one is tight.
        if min(x1, y1, turned.shape[1] - x2, turned.shape[0] - y2) > 0:
            assert max(seen) < 2.5


def test_beyond_the_picture_is_the_border(sample: Sample) -> None:
    changed = AugmentSettings(rotate=45, crop=0, scale=(0.5, 0.5), stretch=0, flip=0, hue=0.3)
    turned, *_ = augment(*sample, settings=changed, rng=np.random.default_rng(1))
    assert turned.shape == (180, 240, 3)
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert tuple(turned[y, x].tolist()) == BORDER_RGB


def test_a_turn_that_would_lose_every_box_is_not_taken() -> None:
    """The box lies in a corner of a long picture, out of sight after nearly every turn."""
    image = np.zeros((20, 400, 3), np.uint8)
    box = np.array([[0, 0, 12, 12]], np.float32)
    changed = AugmentSettings(rotate=180, crop=0, scale=(1, 1), stretch=0, flip=0)
    for seed in range(20):
        _, moved, labels, _ = augment(
            image, box, np.array([0]), np.array([False]), settings=changed, rng=np.random.default_rng(seed)
        )
        assert labels.tolist() == [0]
        assert (moved[:, 2:] > moved[:, :2]).all()


def test_a_picture_without_boxes_is_turned_too() -> None:
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    image, boxes, *_ = augment(
        np.zeros((40, 50, 3), np.uint8), *nothing, settings=TURNS, rng=np.random.default_rng(0)
    )
    assert boxes.shape == (0, 4)
    assert image.ndim == 3


def test_strengths_that_no_picture_survives_are_refused() -> None:
    cases: list[tuple[str, Any, str]] = [
        ("rotate", 181, "give degrees from 0 to 180"),
        ("shear", -1, "give degrees from 0 to 60"),
        ("translate", 1.5, "give a share from 0 to 1"),
        ("lens", 0.31, "give a share from 0 to 0.3"),
    ]
    for name, value, told in cases:
        with pytest.raises(RecipeError, match=f"augment: {name} = {value}; {told}"):
            replace(AugmentSettings(), **{name: value})
