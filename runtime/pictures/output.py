"""Results on disk: whole or not at all."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import OutputError

PICTURE_OPTIONS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 90],
    ".bmp": [],
}


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Give a path in the same folder to write to; rename it to `path` at the end, remove it on any error.

    Makes the folder where it is missing. OutputError where the operating system refuses.
    """
    # The suffix stays last: video writers choose their format by it.
    part = path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)  # noqa: PTH105
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):  # its folder could not be made
            part.unlink(missing_ok=True)


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
