"""Where a classification set's pixels lie: in one array, in picture files, or in several of these."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.pictures.picture import Picture, decode, read_picture
from tombola.runtime.pictures.shrink import Shrink
from tombola.train.data.pictures.pictures import PictureStore


class Pixels(Protocol):
    """Pictures by number, from 0."""

    def __len__(self) -> int: ...

    def picture(self, place: int, shrink: Shrink | None = None) -> Picture:
        """Return picture `place`, halved as `shrink` asks; grey ones have three equal channels."""

    def origin(self, place: int) -> str:
        """Return where picture `place` lies; no two pictures have it in common."""


class ArrayPixels:
    """Pictures of one size in one array: uint8 [n, h, w] (grey) or [n, 3, h, w] (RGB), read from `source`."""

    def __init__(self, images_u8: NDArray[np.uint8], source: str) -> None:
        self.images_u8 = images_u8
        self.source = source

    def __len__(self) -> int:
        return len(self.images_u8)

    def picture(self, place: int, shrink: Shrink | None = None) -> Picture:
        image_u8 = self.images_u8[place]
        return read_picture(image_u8 if image_u8.ndim == 2 else image_u8.transpose(1, 2, 0), shrink)

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

    def picture(self, place: int, shrink: Shrink | None = None) -> Picture:
        """DataError if the file is gone, PictureError if it cannot be decoded."""
        name = self.names[place]
        return decode(self.store.read_bytes(name), name, shrink)

    def origin(self, place: int) -> str:
        return f"{self.source}/{self.names[place]}"


class JoinedPixels:
    """The pictures of several, one after the other."""

    def __init__(self, parts: Sequence[Pixels]) -> None:
        self.parts = parts
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def picture(self, place: int, shrink: Shrink | None = None) -> Picture:
        part, own_place = self._part(place)
        return part.picture(own_place, shrink)

    def origin(self, place: int) -> str:
        part, own_place = self._part(place)
        return part.origin(own_place)

    def _part(self, place: int) -> tuple[Pixels, int]:
        number = bisect_right(self._ends, place)
        return self.parts[number], place - (self._ends[number - 1] if number else 0)
