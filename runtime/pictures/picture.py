"""A picture from a path, bytes, an array or Pillow, always as upright RGB."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.pictures.header import PictureHeader, read_header
from tombola.runtime.pictures.shrink import Shrink, halve

MAX_PIXELS = 100_000_000  # OpenCV's own limit, set in tombola/__init__.py, is the second wall
MAX_FILE_BYTES = 1 << 30

# OpenCV is imported where it is used: while a model is opened, and not at all by who has pictures as arrays.

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class PillowPicture(Protocol):
    """A `PIL.Image.Image`, known by its methods: Pillow is not imported here."""

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def mode(self) -> str: ...
    def getexif(self) -> Any: ...
    def convert(self, mode: str) -> Any: ...


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as a network wants it: upright, and halved `halvings` times.

    image_rgb_u8: uint8 [h, w, 3], contiguous. size_hw: height and width before the halvings, in pixels.
    """

    image_rgb_u8: NDArray[np.uint8]
    size_hw: tuple[int, int]
    halvings: int = 0


PictureSource = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[Any] | PillowPicture | Picture
)


def read_rgb(source: PictureSource, *, bgr: bool = False, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return `image_rgb_u8` [height, width, 3], contiguous, upright.

    source: a path or the bytes of a JPEG, PNG, WebP, BMP, TIFF or GIF (of several pictures the first); an
    array uint8 [h, w, 3], [h, w, 4] or [h, w]; or a picture of Pillow's.
    bgr:    the colour order of an array is BGR, as OpenCV's cameras give it; files know their own.
    max_pixels: a file whose header tells more pixels is refused before it is decoded.

    EXIF rotation is applied. 16-bit values keep their high byte, grey becomes three equal channels, an alpha
    channel is dropped as it is (not laid over a colour), CMYK is converted without its colour profile.

    Raises PictureError naming the source where it is missing, empty, cut off, too large or no picture.
    """
    return read_picture(source, None, bgr=bgr, max_pixels=max_pixels).image_rgb_u8


def read_picture(
    source: PictureSource, shrink: Shrink | None, *, bgr: bool = False, max_pixels: int = MAX_PIXELS
) -> Picture:
    """Return the picture halved as `shrink` asks, None leaves it whole; the rest is as for `read_rgb`.

    A JPEG whose sides allow it is decoded at a half, a quarter or an eighth to begin with.
    """
    if isinstance(source, Picture):
        return _shrunk(source, shrink)
    if isinstance(source, bytes | bytearray | memoryview):
        return decode(bytes(source), "the picture's bytes", shrink, max_pixels=max_pixels)
    if isinstance(source, str | os.PathLike):
        if isinstance(source, str) and _ADDRESS.match(source):
            raise PictureError(
                f"{source}: is an address, and nothing is downloaded by itself; save it to a file first."
            )
        path = Path(source)
        return decode(_read_file(path), str(path), shrink, max_pixels=max_pixels)
    if isinstance(source, np.ndarray):
        return _shrunk(_whole(_array_to_rgb(source, bgr=bgr)), shrink)
    if hasattr(source, "getexif") and hasattr(source, "convert"):
        return _shrunk(_whole(_pillow_to_rgb(source, max_pixels)), shrink)
    raise PictureError(
        f"cannot read a picture from {type(source).__name__}; pass a path, bytes or a numpy array."
    )


def _whole(image_rgb_u8: NDArray[np.uint8]) -> Picture:
    return Picture(image_rgb_u8, (image_rgb_u8.shape[0], image_rgb_u8.shape[1]))


def _shrunk(picture: Picture, shrink: Shrink | None) -> Picture:
    """The picture with the halvings done that it still lacks."""
    image_rgb_u8 = picture.image_rgb_u8
    count = shrink.halvings((image_rgb_u8.shape[0], image_rgb_u8.shape[1])) if shrink else 0
    return (
        Picture(halve(image_rgb_u8, count), picture.size_hw, picture.halvings + count) if count else picture
    )


def _read_file(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise PictureError(f"{path}: is a folder, not a picture.")
        if not stat.S_ISREG(status.st_mode):  # a device or a pipe may have no end
            raise PictureError(f"{path}: is not a regular file.")
        if status.st_size > MAX_FILE_BYTES:
            raise PictureError(f"{path}: has {status.st_size / 2**30:.1f} GiB; a picture has 1 at most.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such file.") from error
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})."
        ) from error


def check_header(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> PictureHeader:
    """The header of a file's bytes. PictureError, which begins with `name`, where it is none or too large."""
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
            "make it smaller, or raise max_pixels (--max-pixels) if you trust it."
        )
    return header


def decode(data: bytes, name: str, shrink: Shrink | None = None, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Return the picture that a file's bytes hold, as `read_picture` does; errors begin with `name`."""
    import cv2

    header = check_header(data, name, max_pixels)
    if not header.is_whole:
        raise PictureError(f"{name}: cut-off {header.format}: its end is missing; copy or save it again.")
    reduced = _reducible(header, shrink.halvings(header.upright_hw)) if shrink else 0
    # libjpeg decodes at a half, a quarter and an eighth, in a part of the time.
    reductions = cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_COLOR_8
    flags = reductions[reduced - 1] if reduced else cv2.IMREAD_COLOR_RGB
    if header.format == "JPEG":  # it is turned below, as the header is read: OpenCV reads some otherwise
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise PictureError(f"{name}: OpenCV cannot decode this {header.format} ({error.err}).") from error
    if image is None:
        raise PictureError(f"{name}: damaged {header.format}: it cannot be decoded.")
    if reduced:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    image_rgb_u8 = _upright(np.asarray(image, np.uint8), header.orientation)
    height, width = image_rgb_u8.shape[:2]
    size_hw = height << reduced, width << reduced
    return _shrunk(Picture(image_rgb_u8, size_hw, reduced), shrink)


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The picture [h, w, 3] turned from how EXIF's orientation 1 … 8 says that it lies; another is 1."""
    import cv2

    if orientation in (5, 6, 7, 8):
        image = np.asarray(cv2.transpose(image), np.uint8)
    # After the exchange of axes, what is left of a turn is mirrors.
    mirrors = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # OpenCV: 1 left and right, 0 top and bottom, -1 both
    return np.asarray(cv2.flip(image, mirrors[orientation]), np.uint8) if orientation in mirrors else image


def _reducible(header: PictureHeader, halvings: int) -> int:
    """How many of the halvings libjpeg may do: it rounds sides up, a halving leaves the odd pixel out."""
    if header.format != "JPEG":
        return 0
    height, width = header.size_hw
    return next(
        count for count in (3, 2, 1, 0) if count <= halvings and not (height | width) & ((1 << count) - 1)
    )


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


def _pillow_to_rgb(image: PillowPicture, max_pixels: int) -> NDArray[np.uint8]:
    """A picture of Pillow's, turned upright by its EXIF as its file would be."""
    width, height = image.size
    if not 0 < width * height <= max_pixels:
        raise PictureError(
            f"the Pillow picture: {width}x{height} is not between 1 and {max_pixels:,} pixels."
        )
    try:
        orientation = image.getexif().get(0x0112, 1)
        is_deep = image.mode.startswith("I;16")
        array = np.asarray(image) >> 8 if is_deep else np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise PictureError(f"the Pillow picture: cannot be decoded ({error}).") from error
    return _upright(_array_to_rgb(array.astype(np.uint8), bgr=False), orientation)
