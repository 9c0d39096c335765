"""A camera's picture with the answers drawn into a video file, in real time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DisplayError, OutputError, TombolaError
from tombola.runtime.model import Answer
from tombola.runtime.moving.video_writer import check_video_target, write_video

FRAMES_PER_SECOND = 20


@dataclass(frozen=True)
class Recording:
    """What was recorded: the file, how many frames were answered, and how long it plays."""

    path: Path
    frames: int
    duration_s: float


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
) -> Recording:
    """Answer each frame (`image_rgb_u8` [height, width, 3]) and write the drawn frames to `target`.

    A frame is repeated or left out so that the file plays as fast as things happened. Ctrl-C ends the
    recording and keeps it. Where the frames or an answer fail, or a frame has another size than the first,
    what was recorded is kept, and then the error is raised and says so.
    OutputError where the file cannot be written, or no frame came.
    """
    path = check_video_target(target)
    seen = written = 0
    failure: Exception | None = None
    coming = iter(frames)
    image_rgb_u8 = next(coming, None)
    if image_rgb_u8 is None:
        raise OutputError(f"cannot write {path}: no frame came.")
    height, width = image_rgb_u8.shape[:2]
    with write_video(path, FRAMES_PER_SECOND, (height, width)) as write:
        started = perf_counter()
        try:
            while image_rgb_u8 is not None:
                _check_same_size(image_rgb_u8, (height, width))
                drawn_rgb_u8 = answer(image_rgb_u8).draw(image_rgb_u8)
                due = int((perf_counter() - started) * FRAMES_PER_SECOND) + 1
                for _ in range(due - written):
                    write(drawn_rgb_u8)
                seen, written = seen + 1, max(written, due)
                image_rgb_u8 = next(coming, None)
        except KeyboardInterrupt:  # the way to end a recording
            pass
        except Exception as error:
            if written == 0:
                raise
            failure = error
    done = Recording(path, seen, written / FRAMES_PER_SECOND)
    if isinstance(failure, TombolaError):
        kept = f"{path} keeps the {done.duration_s:.1f} s before that"
        raise type(failure)(f"{str(failure).removesuffix('.')}; {kept}.") from failure
    if failure is not None:
        raise failure
    return done


def _check_same_size(image_rgb_u8: NDArray[np.uint8], size_hw: tuple[int, int]) -> None:
    height, width = image_rgb_u8.shape[:2]
    if (height, width) != size_hw:
        raise DisplayError(
            f"the camera's picture changed from {size_hw[1]}x{size_hw[0]} to {width}x{height}, "
            "and a video has one size."
        )
