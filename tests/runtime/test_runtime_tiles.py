"""Pictures looked at piece by piece, and the boxes of all pieces merged."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.tasks.detect.answer import Detections
from tombola.runtime.tasks.detect.model import Detector
from tombola.runtime.tasks.detect.question import Question
from tombola.runtime.tasks.detect.tiles import detect_in_tiles, is_too_wide

INPUT_PX = 100


def find_bright(image_rgb_u8: NDArray[np.uint8]) -> Detections:
    """A detector that finds each run of bright columns that is at least 5 % of the picture's longer side."""
    height, width = image_rgb_u8.shape[:2]
    bright = np.concatenate([[0], image_rgb_u8[:, :, 0].max(axis=0) > 0, [0]]).astype(int)
    starts, ends = np.flatnonzero(np.diff(bright) == 1), np.flatnonzero(np.diff(bright) == -1)
    boxes = []
    for start, end in zip(starts, ends, strict=True):
        if end - start >= 0.05 * max(height, width):
            rows = np.flatnonzero(image_rgb_u8[:, start:end, 0].max(axis=1))
            boxes.append((start, rows[0], end, rows[-1] + 1))
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, 0.9, np.float32),
        np.zeros(count, np.int64),
        ("cat",) * count,
        (height, width),
    )


def boxes(detections: Detections) -> list[list[float]]:
    return sorted(detections.boxes_xyxy.tolist())


def panorama(*boxes_xyxy: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    image = np.zeros((200, 2000, 3), np.uint8)
    for x1, y1, x2, y2 in boxes_xyxy:
        image[y1:y2, x1:x2] = 255
    return image


def in_tiles(image: NDArray[np.uint8]) -> Detections:
    return detect_in_tiles(find_bright, image, input_px=INPUT_PX, iou_threshold=0.5)


def test_small_things_of_a_panorama_are_found() -> None:
    things = [(100, 20, 130, 60), (990, 100, 1020, 140), (1960, 0, 1990, 30)]
    image = panorama(*things)
    assert boxes(find_bright(image)) == []
    assert boxes(in_tiles(image)) == [list(thing) for thing in things]


@given(st.integers(0, 1500), st.integers(10, 480))
@example(202, 99)  # one tile cuts a column off, at the edge of the other it looks cut
def test_a_thing_is_found_once_and_whole(x1: int, width: int) -> None:
    """Whatever tiles it lies in or is cut by: it is whole in one of them, or large enough for the picture."""
    image = panorama((x1, 50, x1 + width, 150))
    assert boxes(in_tiles(image)) == [[x1, 50, x1 + width, 150]]


def test_a_picture_no_larger_than_the_input_is_looked_at_once() -> None:
    calls = []

    def detect(image_rgb_u8: NDArray[np.uint8]) -> Detections:
        calls.append(image_rgb_u8.shape)
        return find_bright(image_rgb_u8)

    detect_in_tiles(detect, np.zeros((100, 90, 3), np.uint8), input_px=INPUT_PX, iou_threshold=0.5)
    assert calls == [(100, 90, 3)]
    detect_in_tiles(detect, np.zeros((400, 400, 3), np.uint8), input_px=INPUT_PX, iou_threshold=0.5)
    assert calls[1] == (400, 400, 3)
    assert set(calls[2:]) == {(200, 200, 3)}
    assert len(calls[2:]) == 9


@pytest.mark.parametrize(
    ("size_hw", "is_wide"),
    [((700, 4200), True), ((4200, 700), True), ((1080, 1920), False), ((80, 200), False)],
)
def test_which_pictures_are_too_wide(size_hw: tuple[int, int], is_wide: bool) -> None:
    assert is_too_wide(size_hw, INPUT_PX) is is_wide


def test_a_question_of_some_classes(toy: Detector) -> None:
    """The toy finds class 0 as bright as the first pixel, class 1 with 0.8, class 2 with 0.4."""
    image = np.full((40, 40, 3), 255, np.uint8)

    def names(question: Question) -> tuple[str, ...]:
        return question.of(toy)(image).names

    assert names(Question()) == ("cat", "dog")
    assert names(Question(["dog"])) == ("dog",)
    assert names(Question(["bird", "dog"], score_threshold=0.1)) == ("dog", "bird")
    assert names(Question(["dog"], max_detections=1)) == ("dog",)  # the better cat does not use up the count
    assert names(Question(max_detections=1)) == ("cat",)
    with pytest.raises(ModelError, match=r"no class 'dgo'\. Did you mean 'dog'\? It knows 3: cat, dog, bird"):
        Question(["dgo"]).of(toy)
