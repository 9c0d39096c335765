"""Where a classification set's pixels lie: in one array, in picture files, or in several of these."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.train.data.pictures.pictures import PictureStore, decode_rgb


class Pixels(Protocol):
    """Pictures by number, from 0."""

    def __len__(self) -> int: ...

    def read(self, place: int) -> NDArray[np.uint8]:
        """Return picture `place` as image_rgb_u8 [h, w, 3], upright; grey ones have three equal channels."""

    def origin(self, place: int) -> str:
        """Return where picture `place` lies; no two pictures have it in common."""


class ArrayPixels:
    """Pictures of one size in one array: uint8 [n, h, w] (grey) or [n, 3, h, w] (RGB), read from `source`."""

    def __init__(self, images_u8: NDArray[np.uint8], source: str) -> None:
        self.images_u8 = images_u8
        self.source = source

    def __len__(self) -> int:
        return len(self.images_u8)

    def read(self, place: int) -> NDArray[np.uint8]:
        image_u8 = self.images_u8[place]
        if image_u8.ndim == 2:
            return np.asarray(cv2.cvtColor(image_u8, cv2.COLOR_GRAY2RGB), np.uint8)
        return np.ascontiguousarray(image_u8.transpose(1, 2, 0))

    def origin(self, place: int) -> str:
        return f"{self.source}[{place}]"


class FilePixels:
    """Pictures in files of a store that was opened at `source`; read and decoded when they are asked for."""

    def __init__(self, store: PictureStore, names: Sequence[str], source: str) -> None:
        self.store = store
        self.names = names
        self.source = source

    def __len__(self) -> int:
        return len(self.names)

    def read(self, place: int) -> NDArray[np.uint8]:
        """DataError if the file is gone, PictureError if it cannot be decoded."""
        name = self.names[place]
        return decode_rgb(self.store.read_bytes(name), name)

    def origin(self, place: int) -> str:
        return f"{self.source}/{self.names[place]}"


class JoinedPixels:
    """The pictures of several, one after the other."""

    def __init__(self, parts: Sequence[Pixels]) -> None:
        self.parts = parts
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def read(self, place: int) -> NDArray[np.uint8]:
        part, own_place = self._part(place)
        return part.read(own_place)

    def origin(self, place: int) -> str:
        part, own_place = self._part(place)
        return part.origin(own_place)

    def _part(self, place: int) -> tuple[Pixels, int]:
        number = bisect_right(self._ends, place)
        return self.parts[number], place - (self._ends[number - 1] if number else 0)
