"""A picture's size from the first bytes of its file, so that relative boxes need no decoding."""

import struct

from tombola.train.data.pictures.pictures import PictureStore, decode_rgb

HEAD_BYTES = 1 << 17
_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ORIENTATION_TAG = 0x0112
_FIRST_TURNED = 5  # EXIF orientations 5 … 8 exchange width and height


def read_size_hw(pictures: PictureStore, name: str) -> tuple[int, int]:
    """Return height and width in pixels of the upright picture. PictureError or DataError if it has none."""
    size_hw = jpeg_size_hw(pictures.read_bytes(name, HEAD_BYTES))
    if size_hw is None:
        image_rgb_u8 = decode_rgb(pictures.read_bytes(name), name)
        size_hw = image_rgb_u8.shape[0], image_rgb_u8.shape[1]
    return size_hw


def jpeg_size_hw(head: bytes) -> tuple[int, int] | None:
    """Return height and width after EXIF orientation, or None if `head` is no JPEG or ends too early."""
    if not head.startswith(b"\xff\xd8"):
        return None
    turned = False
    place = 2
    try:
        while head[place] == 0xFF:
            marker, length = struct.unpack_from(">BH", head, place + 1)
            if marker in _SIZE_MARKERS:
                height, width = struct.unpack_from(">HH", head, place + 5)
                return (width, height) if turned else (height, width)
            if marker == 0xE1 and head[place + 4 : place + 10] == b"Exif\0\0":
                turned = _orientation(head[place + 10 : place + 2 + length]) >= _FIRST_TURNED
            place += 2 + length
    except (struct.error, IndexError):
        pass
    return None


def _orientation(exif: bytes) -> int:
    """Return the orientation 1 … 8 that an EXIF block (a TIFF) carries, 1 if it carries none."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, entry)
            if tag == _ORIENTATION_TAG and kind == 3:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
