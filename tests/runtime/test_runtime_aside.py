"""Answers beside the pictures: none waits, and what goes wrong is told."""

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.moving.aside import Aside, NoAnswerYet

FRAME = np.full((4, 6, 3), 7, np.uint8)


class Brightness:
    def __init__(self, image_rgb_u8: NDArray[np.uint8]) -> None:
        self.level = int(image_rgb_u8[0, 0, 0])
        self.size_hw = image_rgb_u8.shape[0], image_rgb_u8.shape[1]

    def draw(self, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.full_like(image_rgb_u8, self.level)


def test_a_frame_has_the_newest_answer_that_is_there() -> None:
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def slow(image_rgb_u8: NDArray[np.uint8]) -> Brightness:
        begun.release()
        go_on.acquire()
        return Brightness(image_rgb_u8)

    with Aside(slow) as answer:
        first = answer(FRAME)
        assert isinstance(first, NoAnswerYet)
        assert (first.draw(FRAME) == FRAME).all()
        assert first.size_hw == (4, 6)
        begun.acquire()  # it is at the first frame
        for level in (1, 2, 3):
            assert isinstance(answer(FRAME + np.uint8(level)), NoAnswerYet)
        go_on.release()
        begun.acquire()  # the first is answered, and of those between the newest is next
        assert (answer(FRAME).draw(FRAME) == 7).all()
        go_on.release()
        begun.acquire()
        assert (answer(FRAME).draw(FRAME) == 10).all()
        go_on.release(2)


def test_what_the_answering_raises_is_raised_by_a_later_frame() -> None:
    failed = threading.Event()

    def fail(_: NDArray[np.uint8]) -> Brightness:
        failed.set()
        raise ModelError("its weights are damaged")

    with Aside(fail) as answer:
        answer(FRAME)
        failed.wait()
        answer._thread.join()
        with pytest.raises(ModelError, match="its weights are damaged"):
            answer(FRAME)
