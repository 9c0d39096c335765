"""JPEG, whose markers and scans leave more room for trouble than other formats."""

import base64
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.encoded import difference, encode, with_exif
from tombola.errors import PictureError
from tombola.runtime.pictures.picture import read_picture, read_rgb
from tombola.runtime.pictures.shrink import Shrink, halve

Image = NDArray[np.uint8]


# A CMYK JPEG of 16x8 pixels, inverted as Adobe's programs write them: the left half all cyan ink, the right
# half no ink. Made once with Pillow: quality=95, subsampling=0.
CMYK_JPEG = base64.b64decode("""
/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoK
CgYICwwLCgwJCgoK/8AAFAgACAAQBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIB
AwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZH
SElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV
1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD+f+v38r9/K/fyv7/KKKK//9k=
""")


def test_cmyk_jpeg() -> None:
    image_rgb_u8 = read_rgb(CMYK_JPEG)
    assert image_rgb_u8.shape == (8, 16, 3)
    assert difference(image_rgb_u8[:, :7], np.broadcast_to(np.array([0, 255, 255], np.uint8), (8, 7, 3))) < 6
    assert difference(image_rgb_u8[:, 9:], np.full((8, 7, 3), 255)) < 6


def test_cut_off_jpeg_is_told_before_decoding_could_fill_it_with_grey(photo: Image, tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    data = encode(photo, ".jpg")
    path.write_bytes(data[: len(data) - 2])  # only the end marker is gone
    with pytest.raises(PictureError, match=r"half\.jpg: cut-off JPEG"):
        read_rgb(path)


def test_jpeg_with_something_behind_its_end_is_fine(photo: Image) -> None:
    data = encode(photo, ".jpg")
    assert difference(read_rgb(data + b"\0" * 64 + b"appended"), read_rgb(data)) == 0


def test_jpeg_with_a_thumbnail_is_not_ended_by_it(photo: Image) -> None:
    data, thumbnail = encode(photo, ".jpg"), encode(photo[::4, ::4], ".jpg")
    app0 = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = data[:2] + app0 + data[2:]
    assert read_rgb(whole).shape == photo.shape
    with pytest.raises(PictureError, match="cut-off"):
        read_rgb(whole[:-20])


def jpeg_parts(data: bytes) -> tuple[bytes, bytes]:
    """What stands before the frame header (SOF0) of a baseline JPEG, and the rest."""
    at = data.index(b"\xff\xc0")
    return data[:at], data[at:]


@pytest.mark.parametrize(
    "between", [b"\0\0\0", b"junk", b"\xff\x00\xff\x00", b"\xff\xff\xff", b"\xff\xd0", b"a\xff\x01b"]
)
def test_jpeg_with_bytes_between_its_headers_is_read_as_libjpeg_reads_it(
    photo: Image, between: bytes
) -> None:
    data = encode(photo, ".jpg")
    before, rest = jpeg_parts(data)
    assert difference(read_rgb(before + between + rest), read_rgb(data)) == 0


def test_jpeg_that_hides_its_size_behind_a_marker_without_length(photo: Image) -> None:
    """FF 01 has no length: read as if it had one, it hides the true size from a limit."""
    before, rest = jpeg_parts(encode(photo, ".jpg"))
    true_size = bytearray(rest[: 2 + struct.unpack_from(">H", rest, 2)[0]])
    true_size[5:9] = struct.pack(">HH", 20000, 20000)
    hidden = before + b"\xff\x01" + bytes(true_size) + rest
    with pytest.raises(PictureError, match="tells its size twice"):
        read_rgb(hidden)
    with pytest.raises(PictureError, match="400,000,000 pixels"):
        read_rgb(before + b"\xff\x01" + bytes(true_size) + rest[len(true_size) :])


def test_progressive_jpeg_has_a_bound_on_its_scans(photo: Image) -> None:
    data = encode(photo, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert read_rgb(data).shape == photo.shape
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(PictureError, match="more than 100 scans"):
        read_rgb(data[:-2] + 200 * scan + data[-2:])


def test_motion_photo_with_any_bytes_behind_its_end(photo: Image) -> None:
    data = encode(photo, ".jpg")
    for seed in range(20):
        video = np.random.default_rng(seed).bytes(20_000)
        assert difference(read_rgb(data + video), read_rgb(data)) == 0


SHRINKS = [Shrink((20, 20), "longer"), Shrink((10, 24), "both")]


@pytest.mark.parametrize("shrink", SHRINKS)
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size_hw", [(160, 240), (161, 240), (164, 236), (24, 400), (15, 15)])
def test_a_jpeg_is_shrunk_as_its_pixels_are(
    size_hw: tuple[int, int], orientation: int, shrink: Shrink
) -> None:
    """Decoded at a fraction where its sides allow it, and then the same picture within a few levels."""
    soft = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (*size_hw, 3), np.uint8), (0, 0), 9)
    data = with_exif(encode(soft, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 98), orientation)
    whole = read_rgb(data)
    picture = read_picture(data, shrink)
    count = shrink.halvings((whole.shape[0], whole.shape[1]))
    assert (picture.size_hw, picture.halvings) == (whole.shape[:2], count)
    assert difference(picture.image_rgb_u8, halve(whole, count)) <= 6
    again = read_picture(picture, shrink)
    assert again is picture
