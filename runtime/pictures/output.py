"""Results on disk: whole or not at all."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import OutputError

if sys.platform != "win32":
    import fcntl

PICTURE_OPTIONS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 90],
    ".bmp": [],
}

PART = ".tombola-"
# Never through a link that somebody planted, never waiting for a pipe.
OPEN = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Give a new file in the same folder to write to; rename it to `path` at the end, remove it on any error.

    Makes the folder where it is missing, and removes what a killed process left in it.
    OutputError where the operating system refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_overs(path.parent)
        with _new_file(path) as part:
            yield part
            os.replace(part, path)  # noqa: PTH105
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}.") from error


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """An empty file of a name that nobody can know before, locked for as long as it is in the making."""
    part, handle = _create(path)
    if sys.platform == "win32":  # a file that is open cannot be renamed there
        os.close(handle)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
        if sys.platform != "win32":
            os.close(handle)


def _create(path: Path) -> tuple[Path, int]:
    while True:
        # The suffix stays last: video writers choose their format by it.
        part = path.with_name(f"{PART}{os.urandom(8).hex()}.part{path.suffix}")
        handle = os.open(part, OPEN | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):
            _lock(handle, wait=True)
        if part.exists():  # else another process took it for a left-over just before it was locked
            return part, handle
        os.close(handle)


@lru_cache
def _remove_left_overs(folder: Path) -> None:
    """Remove the files in the making whose process is gone: nobody holds their lock."""
    for part in folder.glob(f"{PART}*.part*"):
        with suppress(OSError):  # a link, somebody else's, or still being written
            handle = os.open(part, OPEN)
            try:
                _lock(handle, wait=False)
                part.unlink()
            finally:
                os.close(handle)


def _lock(handle: int, *, wait: bool) -> None:
    """OSError where another process holds the lock, or there are none (Windows, some network folders)."""
    if sys.platform == "win32":
        raise OSError("no locks here")
    fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def save_bytes(data: bytes, path: str | os.PathLike[str]) -> Path:
    """Write a file whole or not at all, replacing one that is there. OutputError where it cannot be."""
    target = Path(path)
    with write_beside(target) as part:
        part.write_bytes(data)
    return target


def save_picture(image_rgb_u8: NDArray[np.uint8], path: str | os.PathLike[str]) -> Path:
    """Write a picture, uint8 [height, width, 3] RGB, as .jpg, .png, .webp or .bmp by its suffix.

    OutputError where the suffix is another one or the file cannot be written; nothing half-written is left.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in PICTURE_OPTIONS:
        known = ", ".join(PICTURE_OPTIONS)
        raise OutputError(f"cannot write {target}: {suffix or 'no suffix'!r} is not one of {known}.")
    image_bgr_u8 = cv2.cvtColor(image_rgb_u8, cv2.COLOR_RGB2BGR)
    is_encoded, encoded = cv2.imencode(suffix, image_bgr_u8, PICTURE_OPTIONS[suffix])
    if not is_encoded:
        height, width = image_rgb_u8.shape[:2]
        raise OutputError(
            f"cannot write {target}: {width}x{height} cannot be encoded as {suffix}; .png holds any size."
        )
    return save_bytes(encoded.tobytes(), target)
