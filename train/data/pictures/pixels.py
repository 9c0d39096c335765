"""Where a classification set's pixels lie: in one array, in picture files, or in several of these."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
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

    def images_rgb_u8(self, places: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        """Yield these pictures, whole, [h, w, 3]; those of one array are taken out of it together, those of
        files read one by one as they are asked for, since a batch of photos may not fit into memory."""
        return (self.picture(place).image_rgb_u8 for place in places.tolist())

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
        return read_picture(next(self.images_rgb_u8(np.array([place]))), shrink)

    def images_rgb_u8(self, places: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        images_u8 = self.images_u8[places]
        if images_u8.ndim == 3:
            return iter(np.repeat(images_u8[..., None], 3, axis=3))
        return iter(np.ascontiguousarray(images_u8.transpose(0, 2, 3, 1)))

    def origin(self, place: int) -> str:
        return f"{self.source}[{place}]"


class FilePixels(Pixels):
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

    def images_rgb_u8(self, places: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        numbers = np.searchsorted(self._ends, places, side="right")
        streams = {
            number: self.parts[number].images_rgb_u8(places[numbers == number] - self._start(number))
            for number in np.unique(numbers).tolist()
        }
        return (next(streams[number]) for number in numbers.tolist())

    def origin(self, place: int) -> str:
        part, own_place = self._part(place)
        return part.origin(own_place)

    def _part(self, place: int) -> tuple[Pixels, int]:
        number = bisect_right(self._ends, place)
        return self.parts[number], place - self._start(number)

    def _start(self, number: int) -> int:
        return self._ends[number - 1] if number else 0
