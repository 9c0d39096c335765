"""Clips where pictures lie: animated pictures, videos and folders of frames, by name."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.clips.clip import ClipSource, read_clip
from tombola.runtime.clips.folders import is_frames, moves
from tombola.train.data.pictures.pictures import FolderPictures, PictureStore, open_pictures

SHOWN_FRAMES = 4


class FolderOfClips(FolderPictures):
    """The pictures and clips in `root` and its folders; a folder of frames is there by its own name."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and self._is_frames(self.path(name)))

    def _is_frames(self, path: Path | None) -> bool:
        try:
            return path is not None and path.is_dir() and is_frames(path)
        except (OSError, ValueError):
            return False


def open_clips(path: Path) -> PictureStore:
    """Open a folder of pictures or clips, or a plain .tar of pictures. DataError if `path` is neither."""
    return FolderOfClips(path) if path.is_dir() else open_pictures(path)


def clip_path(store: PictureStore, name: str) -> Path | None:
    """Where a clip of that name can be read from; None in a tar, where it cannot be, and outside of the
    store."""
    return store.path(name) if isinstance(store, FolderPictures) else None


def is_clip(path: Path | None) -> bool:
    """Whether a folder of frames lies there, or a file that moves."""
    try:
        return path is not None and (path.is_dir() or moves(path))
    except OSError:
        return False


def side_by_side(clip: ClipSource) -> NDArray[np.uint8]:
    """A clip as one picture: a few of its frames beside each other, uint8 [h, w, 3]. PictureError if it
    cannot be read."""
    return np.concatenate(list(read_clip(clip, SHOWN_FRAMES).frames_rgb_u8), axis=1)
