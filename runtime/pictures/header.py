"""What a picture file says before it is decoded: format, size, and whether all of it is there.

Read for limits and for sizes; whether the pixels are good is the decoder's verdict.
"""

import re
import struct
from dataclasses import dataclass

from tombola.errors import PictureError

FORMATS = "JPEG, PNG, WebP, BMP, TIFF or GIF"
MOST_SCANS = 100  # of a progressive JPEG; each is a pass over all pixels, and encoders write about ten

# libjpeg passes over what is no marker: bytes that are not FF, padding, FF 00 (a data byte), 01 and restarts.
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])")
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ORIENTATION, _WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 274, 256, 257, 322, 323
_TIFF_WORDS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q"}  # types of a single whole number


@dataclass(frozen=True)
class PictureHeader:
    """Format name and stored size in pixels; is_whole is False for a file that is cut off.

    orientation: EXIF's 1 … 8 of a JPEG; 5 and more exchange height and width. Other formats tell 1.
    """

    format: str
    size_hw: tuple[int, int]
    is_whole: bool = True
    orientation: int = 1

    @property
    def upright_hw(self) -> tuple[int, int]:
        """Height and width of the upright picture."""
        return self.size_hw[::-1] if self.orientation >= 5 else self.size_hw


def read_header(data: bytes) -> PictureHeader:
    """Read the header of an encoded picture; PictureError where it is no picture or its header is cut off."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
            return _tiff(data)
        if data.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack_from("<HH", data, 6)
            return PictureHeader("GIF", (height, width))
    except (struct.error, IndexError) as error:
        raise PictureError("the picture is cut off within its header; copy or save it again.") from error
    raise PictureError(f"not a picture that Tombola reads ({FORMATS}); convert it to one of these.")


def _jpeg(data: bytes) -> PictureHeader:
    position, size_hw, orientation, scans = 2, None, 0, 0
    while found := _JPEG_MARKER.search(data, position):
        marker, position = found[1][0], found.end()
        if marker == 0xD9 and size_hw and scans:
            return PictureHeader("JPEG", size_hw, True, orientation or 1)
        if marker == 0xD9:
            raise PictureError("damaged JPEG: it ends before any picture data.")
        if position + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _JPEG_SIZES:
            if size_hw:
                raise PictureError("damaged JPEG: it tells its size twice.")
            size_hw = struct.unpack_from(">HH", data, position + 3)
        elif marker == 0xE1 and data[position + 2 : position + 8] == b"Exif\0\0":
            orientation = orientation or _orientation(data[position + 8 : position + length])
        elif marker == 0xDA:
            scans += 1
            if size_hw is None:
                raise PictureError("damaged JPEG: its data starts before its size is told.")
            if scans > MOST_SCANS:
                raise PictureError(f"its JPEG has more than {MOST_SCANS} scans; save it again.")
        position += length
    if size_hw is None:
        raise PictureError("the picture is cut off within its header; copy or save it again.")
    return PictureHeader("JPEG", size_hw, False, orientation or 1)


def _png(data: bytes) -> PictureHeader:
    if data[12:16] != b"IHDR":
        raise PictureError("damaged PNG: it does not start with its header.")
    width, height = struct.unpack_from(">II", data, 16)
    position = 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        if data[position + 4 : position + 8] == b"IEND":
            return PictureHeader("PNG", (height, width))
        position += 12 + length
    return PictureHeader("PNG", (height, width), is_whole=False)


def is_animated_webp(head: bytes) -> bool:
    """Whether a file that begins with `head`, of which 21 bytes are enough, is a WebP of several frames."""
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20:21]) and bool(head[20] & 2)


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


def _tiff(data: bytes) -> PictureHeader:
    tags = _tiff_tags(data)
    if not {_WIDTH, _HEIGHT} <= tags.keys():
        raise PictureError("damaged TIFF: it does not tell its size.")
    # A tile is decoded whole, however little of it the picture uses.
    width, height = max(tags[_WIDTH], tags.get(_TILE_WIDTH, 0)), max(tags[_HEIGHT], tags.get(_TILE_HEIGHT, 0))
    return PictureHeader("TIFF", (height, width))


def _orientation(exif: bytes) -> int:
    """The orientation 1 … 8 that an EXIF block tells, 1 if it tells none."""
    try:
        orientation = _tiff_tags(exif).get(_ORIENTATION, 1)
    except (struct.error, IndexError):
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _tiff_tags(data: bytes) -> dict[int, int]:
    """Tag -> value for the whole numbers in the first directory of a TIFF, or of EXIF, which is one."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return {}
    (version,) = struct.unpack_from(order + "H", data, 2)
    count_type, offset_type, entry_bytes = ("Q", "Q", 20) if version == 43 else ("H", "I", 12)
    (start,) = struct.unpack_from(order + offset_type, data, 8 if version == 43 else 4)
    (count,) = struct.unpack_from(order + count_type, data, start)
    first = start + struct.calcsize(count_type)
    tags: dict[int, int] = {}
    for entry in range(first, min(first + entry_bytes * count, len(data) - entry_bytes + 1), entry_bytes):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if kind in _TIFF_WORDS:
            (tags[tag],) = struct.unpack_from(
                order + _TIFF_WORDS[kind], data, entry + (12 if version == 43 else 8)
            )
    return tags
