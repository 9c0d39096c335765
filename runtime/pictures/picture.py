"""A picture from a path, bytes or an array, always as upright RGB."""

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.pictures.header import read_header

# OpenCV is imported where it is used: while a model is opened, and not at all by who has pictures as arrays.

MAX_PIXELS = 100_000_000

PictureSource = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[Any]


def read_rgb(source: PictureSource, *, bgr: bool = False, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return `image_rgb_u8` [height, width, 3], contiguous, upright.

    source: a path or the bytes of a JPEG, PNG, WebP or BMP; or an array uint8 [h, w, 3], [h, w, 4] or [h, w].
    bgr:    the colour order of an array is BGR, as OpenCV's cameras give it; files know their own.
    max_pixels: a file whose header tells more pixels is refused before it is decoded.

    EXIF rotation is applied. 16-bit values keep their high byte, grey becomes three equal channels, an alpha
    channel is dropped as it is (not laid over a colour), CMYK is converted without its colour profile.

    Raises PictureError naming the source where it is missing, empty, cut off, too large or no picture.
    """
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source, bgr=bgr)
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(bytes(source), "the picture's bytes", max_pixels)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _decode(_read_file(path), str(path), max_pixels)
    raise PictureError(
        f"cannot read a picture from {type(source).__name__}; pass a path, bytes or a numpy array."
    )


def _read_file(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise PictureError(f"{path}: is a folder, not a picture.")
        if not stat.S_ISREG(mode):  # a device or a pipe may have no end
            raise PictureError(f"{path}: is not a regular file.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such file.") from error
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})."
        ) from error


def _decode(data: bytes, name: str, max_pixels: int) -> NDArray[np.uint8]:
    import cv2

    if not data:
        raise PictureError(f"{name}: is empty (0 bytes).")
    try:
        header = read_header(data)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from error
    height, width = header.size_hw
    if height < 1 or width < 1:
        raise PictureError(f"{name}: damaged {header.format}: its size is {width}x{height}.")
    if height * width > max_pixels:
        raise PictureError(
            f"{name}: {width}x{height} is {height * width:,} pixels, more than the limit of {max_pixels:,}; "
            "raise max_pixels (--max-pixels) if you trust it."
        )
    if not header.is_whole:
        raise PictureError(f"{name}: cut-off {header.format}: its end is missing; copy or save it again.")
    try:
        image_rgb_u8 = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise PictureError(f"{name}: OpenCV cannot decode this {header.format} ({error.err}).") from error
    if image_rgb_u8 is None:
        raise PictureError(f"{name}: damaged {header.format}: it cannot be decoded.")
    return np.asarray(image_rgb_u8, np.uint8)


def _array_to_rgb(image: NDArray[Any], *, bgr: bool) -> NDArray[np.uint8]:
    import cv2

    if image.dtype != np.uint8:
        raise PictureError(
            f"a picture array must be uint8 with values 0 to 255, but its dtype is {image.dtype}."
        )
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)) or image.size == 0:
        raise PictureError(
            "a picture array must have shape [height, width, 3], [height, width, 4] or [height, width], "
            f"but has {list(image.shape)}."
        )
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2RGB), np.uint8)
    if image.shape[2] == 4:
        code = cv2.COLOR_BGRA2RGB if bgr else cv2.COLOR_RGBA2RGB
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), code), np.uint8)
    if bgr:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB), np.uint8)
    return np.ascontiguousarray(image)
