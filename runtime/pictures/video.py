"""A video in, the same video with its answers drawn out; and a writer whose file is whole or not there."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import OutputError
from tombola.runtime.model import Answer
from tombola.runtime.pictures.output import write_beside
from tombola.runtime.pictures.sources import Video, opencv_can_name, quiet_opencv

# Codecs that OpenCV's wheels can write on every system.
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}

AnswerT = TypeVar("AnswerT", bound=Answer)
WriteFrame = Callable[[NDArray[np.uint8]], None]


@dataclass(frozen=True)
class VideoReport:
    """What was written: the file, its frames, and frames a second while working."""

    path: Path
    frames: int
    frames_per_second: float


def annotate_video(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    answer: Callable[[NDArray[np.uint8]], AnswerT],
    *,
    on_frame: Callable[[int, int, AnswerT], None] | None = None,
) -> VideoReport:
    """Answer every frame of `source` and write the drawn frames to `target` at the same rate.

    Sound is not kept.
    answer: a loaded model, or a function of a frame, `image_rgb_u8` [height, width, 3], that asks one.
    target: a file whose suffix is one of .mp4 .m4v .mov .mkv .avi; replaced whole at the end.
    on_frame: called after each frame with its index, the count the file claims (0 if unknown) and its answer.

    Raises PictureError (source), OutputError (target), ModelError (answer). Nothing half-written is left.
    """
    frames = 0
    started = perf_counter()
    with Video(source) as video, write_video(target, video.fps, video.size_hw) as write:
        for image_rgb_u8 in video:
            found = answer(image_rgb_u8)
            write(found.draw(image_rgb_u8))
            if on_frame is not None:
                on_frame(frames, video.frame_count, found)
            frames += 1
    return VideoReport(Path(target), frames, frames / (perf_counter() - started))


@contextmanager
def write_video(target: str | os.PathLike[str], fps: float, size_hw: tuple[int, int]) -> Iterator[WriteFrame]:
    """Give a function that appends a frame, uint8 [height, width, 3] RGB of `size_hw`, to the video `target`.

    target: a file whose suffix is a key of CODECS; replaced at the end, left as it was after an error.
    OutputError where it cannot be written, or does not hold every frame afterwards.
    """
    path = Path(target)
    codec = CODECS.get(path.suffix.lower())
    if codec is None:
        suffix = path.suffix or "no suffix"
        raise OutputError(f"cannot write {path}: {suffix!r} is not one of {', '.join(CODECS)}.")
    if not opencv_can_name(path):
        raise OutputError(f"cannot write {path}: the name is not valid UTF-8; choose another.")
    frames = 0
    with write_beside(path) as part:
        part.write_bytes(b"")  # tells a refused place from a missing codec
        with quiet_opencv():
            writer = cv2.VideoWriter(
                str(part), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (size_hw[1], size_hw[0])
            )
        if not writer.isOpened():
            raise OutputError(
                f"cannot write {path}: this OpenCV has no {codec} encoder; try the suffix .avi."
            )

        def write(image_rgb_u8: NDArray[np.uint8]) -> None:
            nonlocal frames
            writer.write(cv2.cvtColor(image_rgb_u8, cv2.COLOR_RGB2BGR))
            frames += 1

        try:
            yield write
        finally:
            writer.release()
        _check_written(part, path, frames)


def _check_written(part: Path, path: Path, frames: int) -> None:
    """Read the file again: OpenCV's writer does not say when the disk is full, and its header lies."""
    count = 0
    with quiet_opencv():
        capture = cv2.VideoCapture(str(part), cv2.CAP_FFMPEG)
        while capture.grab():
            count += 1
        capture.release()
    if count != frames:
        raise OutputError(f"cannot write {path}: {count} of {frames} frames were stored; is the disk full?")
    if frames == 0:
        raise OutputError(f"cannot write {path}: no frame came to be written.")
