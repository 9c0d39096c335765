"""A writer of videos whose file is whole or not there."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import OutputError
from tombola.runtime.pictures.opencv import muted_stderr, opencv_can_name, quiet_opencv
from tombola.runtime.pictures.output import write_beside

# For each suffix, what to try in turn. Browsers play H.264 (avc1), which few of OpenCV's wheels can write,
# and VP8, which all can, at a tenth of the speed; not MPEG-4 part 2 (mp4v), Motion JPEG, or any .mkv or .avi.
CODECS = {
    ".mp4": ("avc1", "mp4v"),
    ".m4v": ("avc1", "mp4v"),
    ".mov": ("avc1", "mp4v"),
    ".webm": ("VP80",),
    ".mkv": ("mp4v",),
    ".avi": ("MJPG",),
}

WriteFrame = Callable[[NDArray[np.uint8]], None]


def check_video_target(target: str | os.PathLike[str]) -> Path:
    """`target` as a path; OutputError where it cannot be a video's, by its name."""
    path = Path(target)
    if path.suffix.lower() not in CODECS:
        suffix = path.suffix or "no suffix"
        raise OutputError(f"cannot write {path}: {suffix!r} is not one of {', '.join(CODECS)}.")
    if not opencv_can_name(path):
        raise OutputError(f"cannot write {path}: the name is not valid UTF-8; choose another.")
    return path


@contextmanager
def write_video(target: str | os.PathLike[str], fps: float, size_hw: tuple[int, int]) -> Iterator[WriteFrame]:
    """Give a function that appends a frame, uint8 [height, width, 3] RGB, to the video `target`.

    target: a file whose suffix is a key of CODECS; replaced at the end, left as it was after an error.
    size_hw: of the video; a frame of another size is stretched to it. An odd side loses its last pixel.
    OutputError where it cannot be written, or does not hold every frame afterwards.
    """
    path = check_video_target(target)
    height, width = size_hw
    frames = 0
    with write_beside(path) as part:
        part.write_bytes(bytes(4096))  # tells a refused place and a full disk from a missing codec
        writer = _open(part, path, fps, size_hw)

        def write(image_rgb_u8: NDArray[np.uint8]) -> None:
            nonlocal frames
            if image_rgb_u8.shape[:2] != size_hw:
                image_rgb_u8 = np.asarray(cv2.resize(image_rgb_u8, (width, height)), np.uint8)
            writer.write(cv2.cvtColor(image_rgb_u8, cv2.COLOR_RGB2BGR))
            frames += 1

        try:
            yield write
        finally:
            writer.release()
        _check_written(part, path, frames)


def plays_in_browsers(path: Path) -> bool:
    """Whether a video that `write_video` wrote is of a kind that browsers play."""
    if path.suffix.lower() in (".mkv", ".avi"):
        return False
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
        capture.release()
    return fourcc.upper() in (b"AVC1", b"H264", b"VP80", b"VP90")


def _open(part: Path, path: Path, fps: float, size_hw: tuple[int, int]) -> cv2.VideoWriter:
    codecs = CODECS[path.suffix.lower()]
    for codec in codecs:
        # OpenCV complains of WebM's tags past its log, and writes the file all the same.
        with quiet_opencv(), muted_stderr():
            writer = cv2.VideoWriter(
                str(part), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (size_hw[1], size_hw[0])
            )
        if writer.isOpened():
            return writer
    raise OutputError(f"cannot write {path}: this OpenCV has no {codecs[-1]} encoder; try the suffix .avi.")


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
