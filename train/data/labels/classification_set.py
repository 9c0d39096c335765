"""Pictures with one label each, or clips."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.runtime.clips.clip import Clip, read_clip
from tombola.runtime.pictures.picture import Picture
from tombola.runtime.pictures.shrink import Shrink
from tombola.train.data.fold import kept_ranks
from tombola.train.data.labels.steps import Steps
from tombola.train.data.pictures.pixels import JoinedPixels, Pixels


@dataclass(frozen=True)
class ClassificationSet:
    """Pictures in the order of their file, or of their names.

    classes   names by label
    labels    int64 [n], 0 … len(classes) - 1
    names     n names for messages: a file name, or a file and the place in it, "images.gz[17]"
    pixels    where the pictures are read from
    places    int64 [n], each picture's number in `pixels`
    steps     of clips, n: which class each shows at which frame, `labels` being the last; None of pictures
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    pixels: Pixels
    places: NDArray[np.int64]
    steps: tuple[Steps, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return picture `index` as image_rgb_u8 [h, w, 3], upright; grey ones have three equal channels.

        DataError if its file is gone; PictureError if its bytes cannot be decoded.
        """
        return self.picture(index).image_rgb_u8

    def read_several(self, indices: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """Yield these pictures in this order, each as `read` returns it, and in less time."""
        return self.pixels.images_rgb_u8(self.places[list(indices)])

    def picture(self, index: int, shrink: Shrink | None = None) -> Picture:
        """Return picture `index` halved as `shrink` asks, with the pixels that the runtime would read; errors
        as `read`."""
        return self.pixels.picture(int(self.places[index]), shrink)

    def clip_path(self, index: int) -> Path:
        """Where clip `index` lies."""
        return Path(self.pixels.origin(int(self.places[index])))

    def clip(self, index: int, most_frames: int, shrink: Shrink | None = None) -> Clip:
        """Return clip `index`; see `read_clip`. PictureError if it cannot be read."""
        return read_clip(self.clip_path(index), most_frames, shrink)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> "ClassificationSet":
        """Return the set of these pictures, in this order. IndexError if one is not there."""
        kept = np.asarray(indices, np.int64)
        return replace(
            self,
            labels=self.labels[kept],
            names=tuple(self.names[index] for index in kept),
            places=self.places[kept],
            steps=None if self.steps is None else tuple(self.steps[index] for index in kept),
        )

    def fold(self, folds: Sequence[str]) -> "ClassificationSet":
        """Keep the pictures for which every fold holds.

        "k/n" holds where rank % n == k, "!k/n" where it does not; the rank counts this set's pictures from
        0. DataError if a fold is not of that form or nothing is left.
        """
        return self.take(kept_ranks(len(self), folds)) if folds else self


def merge(sets: Sequence[ClassificationSet]) -> ClassificationSet:
    """Return the pictures of all, set after set. DataError if the classes differ or a picture comes twice."""
    if not sets:
        raise DataError("nothing to merge: name at least one data set")
    classes = sets[0].classes
    seen: set[str] = set()
    for one in sets:
        if one.classes != classes:
            raise DataError(
                f"data sets with different classes cannot be merged: {', '.join(classes)} against "
                f"{', '.join(one.classes)}; give both the same `classes`, in one order"
            )
        for origin in map(one.pixels.origin, one.places.tolist()):
            if origin in seen:
                raise DataError(f"{origin} is in two of the merged sets; choose folds that do not overlap")
            seen.add(origin)
    if len(sets) == 1:
        return sets[0]
    starts = np.cumsum([0, *(len(one.pixels) for one in sets[:-1])])
    return ClassificationSet(
        classes=classes,
        labels=np.concatenate([one.labels for one in sets]),
        names=tuple(name for one in sets for name in one.names),
        pixels=JoinedPixels([one.pixels for one in sets]),
        places=np.concatenate([one.places + start for one, start in zip(sets, starts, strict=True)]),
        steps=None if sets[0].steps is None else tuple(chain.from_iterable(one.steps or () for one in sets)),
    )
