"""Pictures read on a thread of their own, each while the one before it is looked at."""

from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from tombola.runtime.pictures.picture import read_rgb

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ReadAhead:
    """Reads `paths` in their order, one ahead of what was taken; starts at once with the first."""

    def __init__(self, paths: Iterable[Path], max_pixels: int) -> None:
        self._paths = iter(paths)
        self._max_pixels = max_pixels
        self._coming = self._start()

    def take(self) -> "NDArray[np.uint8]":
        """The next picture, `image_rgb_u8` [height, width, 3]; PictureError if it cannot be read."""
        reading, self._coming = self._coming, self._start()
        if reading is None:
            raise IndexError("every picture has been taken")
        return reading.result()

    def _start(self) -> "_Reading | None":
        path = next(self._paths, None)
        return None if path is None else _Reading(path, self._max_pixels)


class _Reading(Thread):
    def __init__(self, path: Path, max_pixels: int) -> None:
        super().__init__(name=f"read {path}", daemon=True)
        self._path, self._max_pixels = path, max_pixels
        self._image_rgb_u8: NDArray[np.uint8] | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._image_rgb_u8 = read_rgb(self._path, max_pixels=self._max_pixels)
        except BaseException as error:  # raised again where the picture is asked for
            self._error = error

    def result(self) -> "NDArray[np.uint8]":
        self.join()
        if self._image_rgb_u8 is None:
            assert self._error is not None
            raise self._error
        return self._image_rgb_u8
