"""What a picture file says before it is decoded: format, size, and whether all of it is there."""

import re
import struct
from dataclasses import dataclass

from tombola.errors import PictureError

FORMATS = "JPEG, PNG, WebP or BMP"

# In a scan, FF 00 is a data byte, FF D0-D7 a restart and FF FF padding: anything else after FF is a marker.
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True)
class PictureHeader:
    """Format name and stored size in pixels (before EXIF rotation); is_whole is False for a cut-off file."""

    format: str
    size_hw: tuple[int, int]
    is_whole: bool


def read_header(data: bytes) -> PictureHeader:
    """Read the header of an encoded picture; PictureError where it is no picture or its header is cut off."""
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            return _bmp(data)
    except (struct.error, IndexError) as error:
        raise PictureError("the picture is cut off within its header; copy or save it again.") from error
    raise PictureError(f"not a picture that Tombola reads ({FORMATS}); convert it to one of these.")


def _jpeg(data: bytes) -> PictureHeader:
    position, size_hw = 2, None
    while True:
        while data[position] == 0xFF and data[position + 1] == 0xFF:  # padding before a marker
            position += 1
        if data[position] != 0xFF:
            raise PictureError("damaged JPEG: no marker where one must be.")
        marker = data[position + 1]
        if marker == 0xD9:
            break
        (length,) = struct.unpack_from(">H", data, position + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size_hw = struct.unpack_from(">HH", data, position + 5)
        position += 2 + length
        if marker != 0xDA:
            continue
        if size_hw is None:
            raise PictureError("damaged JPEG: its data starts before its size is told.")
        found = JPEG_MARKER.search(data, position)
        if found is None:
            return PictureHeader("JPEG", size_hw, is_whole=False)
        position = found.start()
        if data[position + 1] == 0xD9:
            return PictureHeader("JPEG", size_hw, is_whole=True)
    raise PictureError("damaged JPEG: it ends before any picture data.")


def _png(data: bytes) -> PictureHeader:
    if data[12:16] != b"IHDR":
        raise PictureError("damaged PNG: it does not start with its header.")
    width, height = struct.unpack_from(">II", data, 16)
    position = 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        if data[position + 4 : position + 8] == b"IEND":
            return PictureHeader("PNG", (height, width), is_whole=True)
        position += 12 + length
    return PictureHeader("PNG", (height, width), is_whole=False)


def _webp(data: bytes) -> PictureHeader:
    (riff_bytes,) = struct.unpack_from("<I", data, 4)
    is_whole = len(data) >= riff_bytes + 8
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return PictureHeader("WebP", (height, width), is_whole)


def _bmp(data: bytes) -> PictureHeader:
    (file_bytes, _, pixels_at, header_bytes) = struct.unpack_from("<IIII", data, 2)
    width, height = struct.unpack_from("<HH" if header_bytes == 12 else "<ii", data, 18)
    # Some writers leave the file's size at 0.
    return PictureHeader(
        "BMP", (abs(height), abs(width)), is_whole=len(data) >= max(file_bytes, pixels_at + 1)
    )
