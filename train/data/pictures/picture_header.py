"""A picture's size from the first bytes of its file, so that relative boxes need no decoding."""

from tombola.errors import PictureError
from tombola.runtime.pictures.header import PictureHeader
from tombola.runtime.pictures.picture import check_header
from tombola.train.data.pictures.pictures import PictureStore, decode_rgb

HEAD_BYTES = 1 << 17


def read_size_hw(pictures: PictureStore, name: str) -> tuple[int, int]:
    """Return height and width in pixels of the upright picture. PictureError or DataError if it has none."""
    header = _jpeg_header(pictures.read_bytes(name, HEAD_BYTES), name)
    if header is not None:
        return header.upright_hw
    image_rgb_u8 = decode_rgb(pictures.read_bytes(name), name)
    return image_rgb_u8.shape[0], image_rgb_u8.shape[1]


def _jpeg_header(head: bytes, name: str) -> PictureHeader | None:
    """None where the picture must be decoded: `head` ends too early, or its format hides a rotation."""
    try:
        header = check_header(head, name)
    except PictureError:
        return None
    return header if header.format == "JPEG" else None
