"""Answers from a thread of their own, so that a live picture never waits for them."""

import threading
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.model import Answer


class NoAnswerYet:
    """Stands for the first answer until it is there."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self.size_hw = size_hw

    def draw(self, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture as it is."""
        return image_rgb_u8.copy()


class Aside:
    """A function of a frame that returns at once: the newest answer there is, to this frame or one before.

    Between two answers frames are left out. What the answering raises is raised by the next call. Leave it
    (`with`) to end its thread, which finishes the answer it is at.
    """

    def __init__(self, answer: Callable[[NDArray[np.uint8]], Answer]) -> None:
        self._answer = answer
        self._frame: NDArray[np.uint8] | None = None
        self._newest: Answer | None = None
        self._failure: Exception | None = None
        self._is_open = True
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        self._thread.join()

    def __call__(self, image_rgb_u8: NDArray[np.uint8]) -> Answer:
        with self._changed:
            if self._failure is not None:
                raise self._failure
            self._frame = image_rgb_u8
            self._changed.notify_all()
            return self._newest or NoAnswerYet((image_rgb_u8.shape[0], image_rgb_u8.shape[1]))

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frame is not None or not self._is_open)
                frame, self._frame = self._frame, None
                if frame is None or not self._is_open:
                    return
            try:
                newest = self._answer(frame)
            except Exception as error:  # raised where the next frame is shown
                with self._changed:
                    self._failure = error
                return
            with self._changed:
                self._newest = newest
