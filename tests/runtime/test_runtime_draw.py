"""Drawings: boxes where they belong, names inside the picture and off each other."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.pictures import lettering
from tombola.runtime.tasks.detect import draw
from tombola.runtime.tasks.detect.answer import Detection, Detections

Image = NDArray[np.uint8]


def detections(boxes: list[tuple[float, ...]], size_hw: tuple[int, int], name: str = "dog") -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.5, len(boxes)).astype(np.float32),
        np.arange(len(boxes), dtype=np.int64),
        (name,) * len(boxes),
        size_hw,
    )


def test_box_lines_have_the_colour_of_the_class_and_the_inside_is_untouched() -> None:
    image = np.full((200, 300, 3), 90, np.uint8)
    drawn = detections([(100, 80, 250, 180)], (200, 300)).draw(image)
    for y, x in ((80, 200), (179, 200), (130, 100), (130, 249)):
        assert tuple(drawn[y, x]) == lettering.PALETTE[0]
    assert (drawn[90:170, 110:240] == 90).all()
    assert (drawn[195:, :] == 90).all()


def test_the_given_picture_is_not_changed() -> None:
    image = np.full((100, 100, 3), 90, np.uint8)
    found = detections([(10, 30, 60, 60)], (100, 100))
    drawn = found.draw(image)
    assert (image == 90).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (drawn != image).any()


def test_nothing_found_draws_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(detections([], (50, 60)).draw(image), image)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((50, 61, 3), np.uint8),
        np.zeros((50, 60), np.uint8),
        np.zeros((50, 60, 3), np.float32),
    ],
)
def test_picture_of_another_kind_is_refused(image: Image) -> None:
    with pytest.raises(PictureError, match=r"uint8 picture \[50, 60, 3\]"):
        detections([], (50, 60)).draw(image)


def test_name_is_written_in_ink_on_its_colour() -> None:
    image = np.full((400, 400, 3), 90, np.uint8)
    found = next(iter(detections([(50, 200, 350, 390)], (400, 400))))
    tag = draw.place_tag(found, (400, 400), [])
    assert tag is not None
    assert tag.text == "dog 0.90"
    assert tag.rect.bottom <= 200  # above the box, where there is room
    drawn = detections([(50, 200, 350, 390)], (400, 400)).draw(image)
    inside = drawn[tag.rect.top : tag.rect.bottom, tag.rect.left : tag.rect.right].reshape(-1, 3)
    assert (inside == lettering.PALETTE[0]).all(axis=1).mean() > 0.4
    ink, ground = np.array(lettering.ink_on(lettering.PALETTE[0])), np.array(lettering.PALETTE[0])
    is_ink = np.abs(inside - ink).sum(axis=1) < np.abs(inside - ground).sum(axis=1)
    assert 0.05 < is_ink.mean() < 0.5


sides = st.floats(-50, 400, width=32)


@settings(max_examples=60, deadline=None)
@given(
    size_hw=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    boxes=st.lists(st.tuples(sides, sides, sides, sides), max_size=8),
    name=st.text(min_size=1, max_size=12),
)
def test_names_stay_inside_and_apart(
    size_hw: tuple[int, int], boxes: list[tuple[float, ...]], name: str
) -> None:
    height, width = size_hw
    taken: list[lettering.Rect] = []
    for found in detections(boxes, size_hw, name):
        tag = draw.place_tag(found, size_hw, taken)
        if tag is not None:
            taken.append(tag.rect)
    for rect in taken:
        assert 0 <= rect.left < rect.right <= width
        assert 0 <= rect.top < rect.bottom <= height
    assert not any(one.overlaps(other) for one, other in itertools.combinations(taken, 2))
    drawn = detections(boxes, size_hw, name).draw(np.zeros((height, width, 3), np.uint8))
    assert drawn.shape == (height, width, 3)


@pytest.mark.parametrize("side", [64, 320, 1080, 2160])
def test_letters_are_at_least_eight_pixels_high_and_grow(side: int) -> None:
    _, height = lettering.tag_size("dog 0.90", (side, side))
    assert height >= max(8, side / 60)
    assert height <= max(20, side / 20)


def test_name_that_fits_nowhere_is_left_out_and_score_is_the_first_to_go() -> None:
    found = Detection((0, 0, 40, 20), 0.9, 0, "dog")
    name_width, _ = lettering.tag_size("dog", (40, 40))
    tag = draw.place_tag(found, (40, name_width), [])
    assert tag is not None
    assert tag.text == "dog"
    assert draw.place_tag(found, (5, 40), []) is None
    assert draw.place_tag(found, (40, 40), [lettering.Rect(0, 0, 40, 40)]) is None


def contrast(one: lettering.Colour, other: lettering.Colour) -> float:
    """WCAG 2.1 contrast ratio, with its exact sRGB curve."""

    def luminance(colour: lettering.Colour) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
        return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_ink_on_each_colour_can_be_read() -> None:
    for colour in (*lettering.PALETTE, lettering.BLACK, lettering.WHITE):
        assert contrast(colour, lettering.ink_on(colour)) >= 4.5


def cielab(colour: lettering.Colour) -> NDArray[np.float32]:
    pixel = np.array([[colour]], np.float32) / 255
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB)[0, 0], np.float32)


def test_twenty_classes_have_colours_that_can_be_told_apart() -> None:
    """In CIELAB a distance of 2.3 is just noticeable; nine times that is another colour at a glance."""
    assert len(lettering.PALETTE) == 20
    apart = [
        np.linalg.norm(cielab(one) - cielab(other))
        for one, other in itertools.combinations(lettering.PALETTE, 2)
    ]
    assert min(apart) > 9 * 2.3
    assert lettering.colour_of(21) == lettering.PALETTE[1]


def test_small_pictures_have_small_letters() -> None:
    heights = [lettering.tag_size("dog 0.90", (side, side))[1] for side in (40, 150, 200, 400)]
    assert heights[0] == heights[1] < heights[2] == heights[3]
    width, _ = lettering.tag_size("person 0.90", (64, 96))
    assert width < 64


def test_letters_that_opencv_4_lacks_are_spelled_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "__version__", "4.10.0")
    assert lettering.printable("Käfer") == "Kafer"
    assert lettering.printable("犬") == "?"
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    assert lettering.printable("犬") == "犬"
    assert lettering.printable("a\ud800") == "a?"


def test_caption_stands_in_the_lower_left_corner() -> None:
    image = np.full((200, 300, 3), 90, np.uint8)
    drawn = lettering.draw_caption(image, "30.0 FPS")
    changed = np.argwhere((drawn != image).any(axis=2))
    assert changed[:, 0].min() > 150
    assert changed[:, 1].max() < 150
    assert tuple(drawn[199, 0]) == lettering.BLACK
    np.testing.assert_array_equal(lettering.draw_caption(image[:5, :5], "30.0 FPS"), image[:5, :5])
