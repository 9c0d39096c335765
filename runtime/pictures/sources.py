"""Where pictures come from: files, globs, folders, videos and cameras."""

import glob
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import DisplayError, PictureError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp"})
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"})
CAMERA_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Source:
    """One file to look at, and whether it is a picture or a video (told by its suffix)."""

    path: Path
    kind: Literal["picture", "video"]


def expand(source: str | os.PathLike[str]) -> list[Source]:
    """The files a source stands for, sorted: a file, a folder, a glob (`**` too).

    Of a folder, not what lies deeper and not hidden files.
    A file that is named is taken whatever its suffix, a folder's or glob's only where its suffix is known.
    PictureError where nothing is there.
    """
    path = Path(source)
    if not str(source):
        raise PictureError("an empty name names no picture; give a file, a folder or a glob.")
    if path.is_dir():
        found = _known(entry for entry in path.iterdir() if not entry.name.startswith("."))
        if not found:
            shown = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
            pattern = f"'{glob.escape(str(path))}/**'"
            deeper = f"; {pattern} looks into its folders" if any(one.is_dir() for one in shown) else ""
            raise PictureError(f"{path}: the folder holds no pictures or videos ({_suffixes()}){deeper}.")
        return found
    # A name may hold the signs of a glob and still be a file.
    if path.exists() or not glob.has_magic(str(source)):
        if not path.exists():
            raise PictureError(f"{path}: no such file.")
        return [_source(path)]
    found = _known(Path(name) for name in glob.iglob(str(source), recursive=True))  # noqa: PTH207
    if not found:
        raise PictureError(f"{source}: no picture or video matches ({_suffixes()}).")
    return found


def _source(path: Path) -> Source:
    return Source(path, "video" if path.suffix.lower() in VIDEO_SUFFIXES else "picture")


def _known(paths: Iterator[Path]) -> list[Source]:
    wanted = PICTURE_SUFFIXES | VIDEO_SUFFIXES
    return [_source(path) for path in sorted(paths) if path.suffix.lower() in wanted and path.is_file()]


def _suffixes() -> str:
    return " ".join(sorted(PICTURE_SUFFIXES | VIDEO_SUFFIXES))


class Video:
    """A video file's frames, first to last, as `image_rgb_u8` [height, width, 3], turned upright.

    size_hw is that of its frames; fps is frames a second; frame_count is what the file claims, 0 if unknown.
    PictureError where it is missing or no video can be read from it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not opencv_can_name(self.path):
            raise PictureError(f"{self.path}: OpenCV opens only names that are valid UTF-8; rename it.")
        if not self.path.is_file():
            raise PictureError(f"{self.path}: {'is a folder' if self.path.is_dir() else 'no such file'}.")
        with quiet_opencv():
            self._capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
            ok, first_bgr = self._capture.read()
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
        ok = True
        while ok:
            yield np.asarray(cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2RGB), np.uint8)
            ok, frame_bgr = self._capture.read()


class Camera:
    """A camera's newest frame: a thread reads without pause, so a slow reader skips frames and never lags.

    Iterating gives `image_rgb_u8` [height, width, 3], each frame at most once, until `close`.
    DisplayError where the camera cannot be opened, or sends nothing for five seconds.
    """

    def __init__(self, index: int = 0) -> None:
        with quiet_opencv():
            self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            self._capture.release()
            raise DisplayError(
                f"camera {index} cannot be opened: is it plugged in, free, and may this user read it? "
                "`tombola doctor` lists the cameras found."
            )
        self._index = index
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._newest_bgr: Any = None
        self._is_open = True
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name=f"camera {index}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading and free the camera."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        self._thread.join(CAMERA_TIMEOUT_S)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._newest_bgr is not None or not self._is_open, timeout=CAMERA_TIMEOUT_S
                )
                if not self._is_open:
                    return
                frame_bgr, self._newest_bgr = self._newest_bgr, None
            if frame_bgr is None:
                raise DisplayError(f"camera {self._index} sent no picture for {CAMERA_TIMEOUT_S:g} s.")
            yield np.asarray(cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2RGB), np.uint8)

    def _read(self) -> None:
        while self._is_open:
            ok, frame_bgr = self._capture.read()
            if not ok:  # unplugged, or not yet awake
                threading.Event().wait(0.01)
                continue
            with self._changed:
                self._newest_bgr = frame_bgr
                self._changed.notify_all()
        self._capture.release()


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
