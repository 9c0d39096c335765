"""Pictures of a run for its file to be checked on, and to carry."""

from collections.abc import Callable
from typing import Protocol

from tombola.errors import DataError, PictureError, RecipeError
from tombola.export.parity.question import Photo

# Enough to notice a ruined file; each adds some tens of kilobytes.
_PHOTOS = 3


class PictureSet(Protocol):
    """Pictures by number."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Photo:
        """image_rgb_u8 [h, w, 3]; DataError or PictureError if it cannot be read."""


def some_photos(load_split: Callable[[str], PictureSet]) -> list[Photo]:
    """Three pictures, spread evenly over the run's validation pictures, or without them its test pictures."""
    for split in ("valid", "test"):
        try:
            data = load_split(split)
            places = dict.fromkeys(len(data) * (2 * one + 1) // (2 * _PHOTOS) for one in range(_PHOTOS))
            return [data.read(place) for place in places]
        except (DataError, PictureError, RecipeError):
            continue  # a run may be exported where its pictures are not
    return []
