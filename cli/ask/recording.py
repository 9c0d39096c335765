"""A camera's picture with the answers drawn into a video file, in real time."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import OutputError, PictureError
from tombola.runtime.model import Answer
from tombola.runtime.pictures.output import write_beside
from tombola.runtime.pictures.sources import Video, opencv_can_name
from tombola.runtime.pictures.video import CODECS

FRAMES_PER_SECOND = 20


def until(frames: Iterable[NDArray[np.uint8]], seconds: float | None) -> Iterator[NDArray[np.uint8]]:
    """`frames` until `seconds` have passed since the first; all of them for None."""
    started: float | None = None
    for frame in frames:
        now = perf_counter()
        started = now if started is None else started
        if seconds is not None and now - started >= seconds:
            return
        yield frame


def record(
    frames: Iterable[NDArray[np.uint8]],
    target: Path,
    answer: Callable[[NDArray[np.uint8]], Answer],
) -> int:
    """Answer each frame (`image_rgb_u8` [height, width, 3]) and write the drawn frames to `target`.

    A frame is repeated or left out so that the file plays as fast as things happened. Ctrl-C ends the
    recording and keeps it. Returns how many frames were answered. OutputError where the file cannot be
    written, or no frame came.
    """
    codec = CODECS.get(target.suffix.lower())
    if codec is None:
        raise OutputError(f"cannot write {target}: its suffix is not one of {', '.join(CODECS)}.")
    if not opencv_can_name(target):
        raise OutputError(f"cannot write {target}: the name is not valid UTF-8; choose another.")
    with write_beside(target) as part:
        part.write_bytes(b"")  # a refused place shows here, and not as a missing codec
        writer: cv2.VideoWriter | None = None
        seen = written = 0
        started = perf_counter()
        try:
            for image_rgb_u8 in frames:
                if writer is None:
                    writer = _open(part, target, codec, image_rgb_u8.shape[:2])
                    started = perf_counter()
                drawn_rgb_u8 = answer(image_rgb_u8).draw(image_rgb_u8)
                due = int((perf_counter() - started) * FRAMES_PER_SECOND) + 1
                for _ in range(due - written):
                    writer.write(cv2.cvtColor(drawn_rgb_u8, cv2.COLOR_RGB2BGR))
                seen, written = seen + 1, max(written, due)
        except KeyboardInterrupt:  # the way to end a recording
            pass
        finally:
            if writer is not None:
                writer.release()
        _check_plays(part, target)
    return seen


def _open(part: Path, target: Path, codec: str, size_hw: tuple[int, ...]) -> cv2.VideoWriter:
    height, width = size_hw
    writer = cv2.VideoWriter(
        str(part), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), FRAMES_PER_SECOND, (width, height)
    )
    if not writer.isOpened():
        raise OutputError(f"cannot write {target}: this OpenCV has no {codec} encoder; try the suffix .avi.")
    return writer


def _check_plays(part: Path, target: Path) -> None:
    try:
        with Video(part):
            pass
    except PictureError as error:
        raise OutputError(f"cannot write {target}: no frame came, or the disk is full.") from error
