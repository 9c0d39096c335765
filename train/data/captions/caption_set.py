"""Pictures, or clips, with what people said of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.runtime.clips.clip import Clip, read_clip
from tombola.runtime.pictures.picture import Picture, decode
from tombola.runtime.pictures.shrink import Shrink
from tombola.train.data.fold import kept_ranks
from tombola.train.data.pictures.pictures import PictureStore, merge_pictures

Caption = tuple[str, ...]


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture's or clip's name in its store, and its captions, at least one, each a tuple of one word or
    more. path: where it lies; None in a tar."""

    file_name: str
    captions: tuple[Caption, ...]
    path: Path | None = None


@dataclass(frozen=True)
class CaptionSet:
    """Pictures in the order of their file, and where they are read from."""

    records: tuple[CaptionedPicture, ...]
    pictures: PictureStore

    def __len__(self) -> int:
        return len(self.records)

    @property
    def references(self) -> list[tuple[Caption, ...]]:
        """The captions of each picture."""
        return [record.captions for record in self.records]

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return picture `index` as image_rgb_u8 [h, w, 3], upright.

        DataError if it is missing; PictureError if its bytes cannot be decoded.
        """
        return self.picture(index).image_rgb_u8

    def picture(self, index: int, shrink: Shrink | None = None) -> Picture:
        """Return picture `index` halved as `shrink` asks, with the pixels that the runtime would read."""
        name = self.records[index].file_name
        return decode(self.pictures.read_bytes(name), name, shrink)

    def clip_path(self, index: int) -> Path:
        """Where clip `index` lies. DataError for one in a tar."""
        return clip_of(self.records[index])

    def clip(self, index: int, most_frames: int, shrink: Shrink | None = None) -> Clip:
        """Return clip `index`; see `read_clip`. DataError as above, PictureError if it cannot be read."""
        return read_clip(self.clip_path(index), most_frames, shrink)

    def fold(self, folds: Sequence[str]) -> "CaptionSet":
        """Keep the pictures for which every fold holds ("k/n": rank % n == k, "!k/n": all others)."""
        if not folds:
            return self
        return replace(self, records=tuple(self.records[rank] for rank in kept_ranks(len(self), folds)))


def clip_of(record: CaptionedPicture) -> Path:
    """Where a clip lies. DataError for one in a tar."""
    if record.path is None:
        raise DataError(f"{record.file_name}: clips are read from a folder, not from a tar; unpack it")
    return record.path


def merge(sets: Sequence[CaptionSet]) -> CaptionSet:
    """Return one set with the pictures of all. DataError if there is no set, or a picture comes twice."""
    if not sets:
        raise DataError("nothing to merge: name at least one data set")
    if len(sets) == 1:
        return sets[0]
    pictures = merge_pictures(
        [one.pictures for one in sets], [[record.file_name for record in one.records] for one in sets]
    )
    return CaptionSet(tuple(record for one in sets for record in one.records), pictures)
