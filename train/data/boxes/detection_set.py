"""Labelled pictures for detection: records in file-name order, and the store their pixels come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.runtime.pictures.picture import Picture, decode
from tombola.runtime.pictures.shrink import Shrink
from tombola.train.data.fold import kept_ranks
from tombola.train.data.pictures.pictures import PictureStore, merge_pictures


@dataclass(frozen=True)
class DetectionRecord:
    """The boxes of one picture.

    file_name    key of the picture in its store
    boxes_xyxy   float32 [n, 4], x1 y1 x2 y2 in pixels of the upright picture, x1 < x2 and y1 < y2
    labels       int64 [n], index into the set's classes, from 0
    difficult    bool [n], True: neither asked for nor held against a detector
    size_hw      height and width in pixels as the annotation says, None if it does not
    image_id     the picture's number or name in the COCO file that it came from
    proposals_xyxy   float32 [k, 4], boxes that may hold an object, where a file gives them
    """

    file_name: str
    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    difficult: NDArray[np.bool_]
    size_hw: tuple[int, int] | None
    image_id: int | str | None = None
    proposals_xyxy: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class DetectionSet:
    """Records sorted by file name, their classes, and their pictures; and the number of each category in the
    COCO file that they came from."""

    classes: tuple[str, ...]
    records: tuple[DetectionRecord, ...]
    pictures: PictureStore
    category_ids: Mapping[str, int | str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return picture `index` as image_rgb_u8 [h, w, 3], upright (EXIF applied); errors as `picture`."""
        return self.picture(index).image_rgb_u8

    def picture(self, index: int, shrink: Shrink | None = None) -> Picture:
        """Return picture `index` halved as `shrink` asks, with the pixels that the runtime would read.

        DataError if it is missing or has another size than its annotation says; PictureError if its bytes
        cannot be decoded.
        """
        record = self.records[index]
        picture = decode(self.pictures.read_bytes(record.file_name), record.file_name, shrink)
        if record.size_hw is not None and record.size_hw != picture.size_hw:
            raise DataError(
                f"{record.file_name} is {picture.size_hw[1]}×{picture.size_hw[0]} px but its annotation says "
                f"{record.size_hw[1]}×{record.size_hw[0]}; label this copy of the picture"
            )
        return picture

    def fold(self, folds: Sequence[str]) -> "DetectionSet":
        """Keep the records for which every fold holds.

        "k/n" holds where rank % n == k, "!k/n" where it does not; the rank counts this set's records in
        file-name order, from 0. DataError if a fold is not of that form or nothing is left.
        """
        return replace(self, records=tuple(self.records[rank] for rank in kept_ranks(len(self), folds)))

    def without(self, names: Sequence[str]) -> "DetectionSet":
        """Keep all records but those of the pictures named. DataError if one of them is not here, or nothing
        is left."""
        known = {record.file_name for record in self.records}
        if strange := [name for name in names if name not in known]:
            raise DataError(
                f"without: there is no picture {strange[0]!r} in this set and its folds; write its file name"
            )
        if known <= set(names):
            raise DataError(f"without leaves none of {len(known)} pictures; name fewer")
        return replace(self, records=tuple(one for one in self.records if one.file_name not in names))


def merge(sets: Sequence[DetectionSet]) -> DetectionSet:
    """Return one set with the records of all. DataError if the classes differ or a picture comes twice."""
    if not sets:
        raise DataError("nothing to merge: name at least one data set")
    classes = sets[0].classes
    for other in sets[1:]:
        if other.classes != classes:
            raise DataError(
                f"data sets with different classes cannot be merged: {', '.join(classes)} against "
                f"{', '.join(other.classes)}; give both the same `classes`, in one order"
            )
    if len(sets) == 1:
        return sets[0]
    records = sorted((record for one in sets for record in one.records), key=lambda r: r.file_name)
    pictures = merge_pictures(
        [one.pictures for one in sets], [[record.file_name for record in one.records] for one in sets]
    )
    ids = sets[0].category_ids
    if any(other.category_ids != ids for other in sets):
        ids = {}
    # Two files may number their pictures alike.
    records = [replace(record, image_id=None) for record in records]
    return DetectionSet(classes, tuple(records), pictures, ids)
