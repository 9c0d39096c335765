"""A video file's frames."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.clips.container import container, is_whole, shows_all_frames
from tombola.runtime.pictures.opencv import opencv_can_name, quiet_opencv
from tombola.runtime.pictures.picture import MAX_PIXELS


class Video:
    """A video file's frames, first to last, as `image_rgb_u8` [height, width, 3], turned upright.

    size_hw is that of its first frame; fps is frames a second; frame_count is what the file claims, 0 if
    unknown. max_pixels: a video whose frames have more is refused.
    PictureError where it is missing or no video can be read from it; and after its last frame, where the file
    is cut off or frames are missing.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> None:
        self.path = Path(path)
        self._max_pixels = max_pixels
        _check_is_video(self.path)
        with quiet_opencv():
            # An absolute path, for ffmpeg takes `concat:a` and the like for more than a name.
            self._capture = cv2.VideoCapture(str(self.path.absolute()), cv2.CAP_FFMPEG)
            try:
                self._check_size(*(int(self._capture.get(side)) for side in _HEIGHT_WIDTH))
                ok, first_bgr = self._read()
            except PictureError:
                self._capture.release()
                raise
        if not ok:
            self._capture.release()
            raise PictureError(
                f"{self.path}: no video can be read from it: damaged, cut off or of another kind."
            )
        self._first_bgr = first_bgr
        self.size_hw: tuple[int, int] = (first_bgr.shape[0], first_bgr.shape[1])
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0.1 <= fps <= 1000 else 25.0  # some files tell 0 or their clock's ticks
        self.frame_count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        frame_bgr: Any = self._first_bgr
        ok, count = True, 0
        while ok:
            self._check_size(*frame_bgr.shape[:2])
            yield np.asarray(cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2RGB), np.uint8)
            count += 1
            ok, frame_bgr = self._read()
        self._check_all_read(count)

    def _read(self) -> tuple[bool, Any]:
        try:
            return self._capture.read()
        except cv2.error as error:
            raise PictureError(f"{self.path}: OpenCV cannot decode this video ({error.err}).") from error

    def _check_size(self, height: int, width: int) -> None:
        if height * width > self._max_pixels:
            raise PictureError(
                f"{self.path}: {width}x{height} is {height * width:,} pixels a frame, more than the limit of "
                f"{self._max_pixels:,}; raise max_pixels (--max-pixels) if you trust it."
            )

    def _check_all_read(self, count: int) -> None:
        cure = "copy or save it again."
        # Elsewhere the count is an estimate from the sound's length, too.
        is_counted = container(self.path) in ("MP4", "AVI") and self.frame_count > count
        frames = f"{count} of {self.frame_count} frames" if is_counted else f"frame {count}"
        if not is_whole(self.path):
            raise PictureError(f"{self.path}: cut off after {frames}: its end is missing; {cure}")
        if count < self.frame_count and shows_all_frames(self.path):
            raise PictureError(f"{self.path}: damaged: {frames} could be read; {cure}")


_HEIGHT_WIDTH = (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)


def _check_is_video(path: Path) -> None:
    if not opencv_can_name(path):
        raise PictureError(f"{path}: OpenCV opens only names that are valid UTF-8; rename it.")
    try:
        if not path.is_file():
            # Not a pipe or a device either, for these may have no end.
            what = "is a folder" if path.is_dir() else "is not a file" if path.exists() else "no such file"
            raise PictureError(f"{path}: {what}.")
        kind = container(path)
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})."
        ) from error
    if kind is None:
        raise PictureError(
            f"{path}: no video can be read from it: it starts as none of MP4, AVI, Matroska, MPEG, ASF, FLV, "
            "GIF or Ogg. (A list of other files is not followed.)"
        )
