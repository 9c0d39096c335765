"""What OpenCV must be asked with care: names that crash it, and noise on stderr."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

_STDERR = 2
_muting = threading.Lock()


def opencv_can_name(path: Path) -> bool:
    """Whether OpenCV can be given the path: one that is not valid UTF-8 crashes the process."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's log silent while it opens something: the outcome is told by our own errors."""
    # ffmpeg's complaints are its own, and it reads this once, when it is first used.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # OpenCV 5 moved these two functions.
    log: Any = cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2
    level = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(level)


@contextmanager
def muted_stderr() -> Iterator[None]:
    """Send the process's stderr nowhere, for the few lines that OpenCV prints past its own log."""
    with _muting:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # it is closed
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, _STDERR)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
            os.close(nowhere)
