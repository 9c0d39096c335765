"""What networks of clips are asked before they are written."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tombola.export.parity.question import Photo, PictureAsking, Question, drawn_picture
from tombola.runtime.clips.clip import Clip
from tombola.runtime.pictures.shrink import Shrink

# Frames, height and width.
_SIZES = ((1, 64, 64), (2, 37, 501), (3, 1, 1), (5, 240, 322), (9, 17, 33), (16, 61, 40), (40, 24, 24))
_PROBE_SIZES = ((5, 12, 16), (4, 16, 12), (6, 9, 11))
_PROBE_FRAMES, _PROBE_SIDE_PX = 5, 16


class ClipAsking(PictureAsking):
    """Clips of several lengths and sizes. A picture among the photos is a clip of one frame."""

    def questions(self, photos: Sequence[Photo], sizes_hw: Sequence[tuple[int, int]]) -> Sequence[Question]:
        sizes = (*_SIZES, *((4, *size_hw) for size_hw in sizes_hw))
        clips = [
            *(("drawn", drawn_clip(size)) for size in dict.fromkeys(sizes)),
            *(("photo", _frames(photo)) for photo in photos),
            ("blank", np.full((6, 40, 50, 3), 127, np.uint8)),
        ]
        return [Question(name, {"frames": np.ascontiguousarray(frames)}) for name, frames in clips]

    def probes(self, photos: Sequence[Photo]) -> Sequence[Question]:
        """Small, for a file keeps their numbers as text."""
        clips = [_small(_frames(photo)) for photo in photos] or [*map(drawn_clip, _PROBE_SIZES)]
        return [Question("probe", {"frames": np.ascontiguousarray(frames)}) for frames in clips]


class ReadsClips(Protocol):
    """A set of clips."""

    def __len__(self) -> int: ...

    def clip(self, index: int, most_frames: int, shrink: Shrink | None = None) -> Clip: ...


class ClipPhotos:
    """Clips by number, as the frames of each that a network looks at."""

    def __init__(self, data: ReadsClips, most_frames: int, shrink: Shrink) -> None:
        self._data, self._most_frames, self._shrink = data, most_frames, shrink

    def __len__(self) -> int:
        return len(self._data)

    def read(self, index: int) -> Photo:
        """uint8 [n, h, w, 3]; DataError or PictureError if it cannot be read."""
        return self._data.clip(index, self._most_frames, self._shrink).frames_rgb_u8


def drawn_clip(size: tuple[int, int, int]) -> Photo:
    """A drawn picture that moves to the right by an eighth of its width a frame: uint8 [n, h, w, 3]."""
    count, height, width = size
    picture = drawn_picture((height, width), seed=count)
    return np.stack([np.roll(picture, number * width // 8, axis=1) for number in range(count)])


def _frames(photo: Photo) -> Photo:
    return photo if photo.ndim == 4 else photo[None]


def _small(frames: Photo) -> Photo:
    step = -(-max(frames.shape[1:3]) // _PROBE_SIDE_PX)
    return frames[:: -(-len(frames) // _PROBE_FRAMES), ::step, ::step]
