"""Every kind of picture file, good and bad, against pixels known beforehand."""

import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.runtime.encoded import UPRIGHT, difference, encode, png_header, with_exif
from tombola.errors import PictureError
from tombola.runtime.pictures.header import read_header
from tombola.runtime.pictures.picture import MAX_PIXELS, read_picture, read_rgb
from tombola.runtime.pictures.shrink import Shrink, halve

Image = NDArray[np.uint8]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_lossless_formats_keep_every_pixel(photo: Image, suffix: str) -> None:
    assert difference(read_rgb(encode(photo, suffix)), photo) == 0


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_come_close(photo: Image, suffix: str) -> None:
    image_rgb_u8 = read_rgb(encode(photo, suffix))
    assert image_rgb_u8.dtype == np.uint8
    assert difference(image_rgb_u8, photo) < 12  # a swap of red and blue would be over 100


def test_path_text_bytes_and_array_agree(photo: Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encode(photo, ".png"))
    for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), photo):
        assert difference(read_rgb(source), photo) == 0


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_turns_the_picture_upright(photo: Image, suffix: str, orientation: int, tmp_path: Path) -> None:
    plain = encode(photo, suffix)
    expected = UPRIGHT[orientation](read_rgb(plain))
    data = with_exif(plain, orientation)
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(data)
    for source in (data, path):
        assert difference(read_rgb(source), expected) == 0


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_exif_orientation_out_of_range_changes_nothing(photo: Image, orientation: int) -> None:
    assert difference(read_rgb(with_exif(encode(photo, ".png"), orientation)), photo) == 0


def test_16_bit_keeps_the_high_byte(photo: Image) -> None:
    assert difference(read_rgb(encode(photo.astype(np.uint16) * 256 + 200, ".png")), photo) == 0


def test_grey_becomes_three_equal_channels(photo: Image) -> None:
    grey = np.ascontiguousarray(photo[:, :, 1])
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    assert difference(read_rgb(encode(grey, ".png")), expected) == 0
    assert difference(read_rgb(encode(grey.astype(np.uint16) * 256, ".png")), expected) == 0
    assert difference(read_rgb(encode(grey, ".jpg")), expected) < 4
    assert difference(read_rgb(grey), expected) == 0
    assert difference(read_rgb(grey[:, :, None]), expected) == 0


def test_alpha_is_dropped(photo: Image) -> None:
    alpha = np.zeros((*photo.shape[:2], 1), np.uint8)
    rgba = np.concatenate([photo, alpha], axis=2)
    assert difference(read_rgb(encode(rgba, ".png")), photo) == 0
    assert difference(read_rgb(rgba), photo) == 0
    assert difference(read_rgb(np.ascontiguousarray(rgba[:, :, [2, 1, 0, 3]]), bgr=True), photo) == 0


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_one_pixel(suffix: str) -> None:
    pixel = np.full((1, 1, 3), 200, np.uint8)
    assert difference(read_rgb(encode(pixel, suffix)), pixel) <= 3


def test_bgr_arrays_are_turned_and_files_are_not(photo: Image) -> None:
    assert difference(read_rgb(photo[:, :, ::-1], bgr=True), photo) == 0
    assert difference(read_rgb(encode(photo, ".png"), bgr=True), photo) == 0


def test_views_become_contiguous(photo: Image) -> None:
    image_rgb_u8 = read_rgb(photo[::2, ::-1])
    assert image_rgb_u8.flags.c_contiguous
    assert difference(image_rgb_u8, photo[::2, ::-1]) == 0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "uint8 .* float32"),
        (np.zeros((4, 4, 3), np.uint16), "uint8 .* uint16"),
        (np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\]"),
        (np.zeros((3, 4, 4, 3), np.uint8), r"\[3, 4, 4, 3\]"),
        (np.zeros((4, 4, 2), np.uint8), r"\[4, 4, 2\]"),
        (np.zeros(4, np.uint8), r"\[4\]"),
    ],
)
def test_arrays_of_another_kind_are_refused(array: NDArray[Any], message: str) -> None:
    with pytest.raises(PictureError, match=message):
        read_rgb(array)


def test_objects_that_are_no_picture_are_refused() -> None:
    for thing in (None, 5, object()):
        with pytest.raises(PictureError, match="pass a path, bytes or a numpy array"):
            read_rgb(thing)  # type: ignore[arg-type]


def test_missing_file_folder_and_impossible_name(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"gone\.jpg: no such file"):
        read_rgb(tmp_path / "gone.jpg")
    with pytest.raises(PictureError, match="is a folder"):
        read_rgb(tmp_path)
    with pytest.raises(PictureError, match="cannot be read"):
        read_rgb("a\0b.jpg")
    with pytest.raises(PictureError, match="cannot be read"):
        read_rgb("x" * 5000)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_device_without_an_end() -> None:
    with pytest.raises(PictureError, match="/dev/zero: is not a regular file"):
        read_rgb("/dev/zero")


def test_file_without_permission(tmp_path: Path, ordinary_user: Callable[[], None]) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    ordinary_user()
    with pytest.raises(PictureError, match=r"secret\.png: cannot be read \(Permission denied\)"):
        read_rgb(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"Dear reader, I am no picture.", "not a picture that Tombola reads"),
        (b"GIF89a\x01\x00\x01\x00", "damaged GIF"),
        (b"qoif\0\0\0\x05", "JPEG, PNG, WebP, BMP, TIFF or GIF"),
        (b"\xff\xd8\xff", "cut off within its header"),
        (b"\xff\xd8\xff\xd9", "ends before any picture data"),
        (b"\xff\xd8\xff\xda\x00\x02", "before its size is told"),
        (b"\xff\xd8\xff\xe0\x00\x04ab-", "cut off within its header"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "does not tell its size"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIDAT", "does not start with its header"),
        (b"BM", "cut off within its header"),
        (b"RIFF\x04\0\0\0WEBP", "cut off within its header"),
        (png_header(0, 5), "its size is 0x5"),
    ],
)
def test_content_that_is_no_picture(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=rf"photo\.jpg: .*{message}"):
        read_rgb(path)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", ()),
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".jpg", (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)),
        (".png", ()),
        (".webp", ()),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101)),
        (".bmp", ()),
        (".tif", ()),
        (".gif", ()),
    ],
)
def test_every_cut_of_a_picture_is_an_error(suffix: str, options: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    data = encode(noise, suffix, *options)
    assert read_rgb(data).shape == (24, 32, 3)
    for length in range(0, len(data) - 12, 7):
        with pytest.raises(PictureError):
            read_rgb(data[:length])


def test_damaged_png_is_an_error(photo: Image) -> None:
    data = bytearray(encode(photo, ".png"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(PictureError, match=r"damaged PNG|cut-off PNG"):
        read_rgb(bytes(data))


def giant(suffix: str) -> bytes:
    """The header of a 20000x20000 picture: a few bytes that would ask for 1.2 GB."""
    if suffix == ".png":
        return png_header(20000, 20000)
    small = np.zeros((8, 8, 3), np.uint8)
    data = bytearray(encode(small, suffix))
    if suffix == ".jpg":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", 20000, 20000)
    elif suffix == ".gif":
        data[6:10] = struct.pack("<HH", 20000, 20000)
    elif suffix == ".tif":
        tags = struct.pack("<HHHIIHHII", 2, 256, 4, 1, 20000, 257, 4, 1, 20000)
        return b"II*\0\x08\0\0\0" + tags + bytes(4)
    elif suffix == ".bmp":
        data[18:26] = struct.pack("<ii", 20000, -20000)
    return bytes(data)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".gif"])
def test_giant_picture_is_refused_before_decoding(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_decoding(*_: object) -> None:
        raise AssertionError("decoded before its size was checked")

    monkeypatch.setattr(cv2, "imdecode", no_decoding)
    with pytest.raises(
        PictureError, match="20000x20000 is 400,000,000 pixels, more than the limit of 100,000,000"
    ):
        read_rgb(giant(suffix))


def test_limit_is_raised_and_lowered_by_the_option(photo: Image) -> None:
    data = encode(photo, ".png")
    assert read_rgb(data, max_pixels=60 * 80).shape == (60, 80, 3)
    with pytest.raises(PictureError, match="raise max_pixels"):
        read_rgb(data, max_pixels=60 * 80 - 1)


@pytest.mark.parametrize("size_hw", [(1, 1), (37, 501), (500, 3)])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", ()),
        (".png", ()),
        (".bmp", ()),
        (".tif", ()),
        (".gif", ()),
        (".webp", ()),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101)),
    ],
)
def test_header_tells_the_size_that_decoding_gives(
    size_hw: tuple[int, int], suffix: str, options: tuple[int, ...]
) -> None:
    header = read_header(encode(np.zeros((*size_hw, 3), np.uint8), suffix, *options))
    assert (header.size_hw, header.is_whole) == (size_hw, True)


def test_header_of_an_extended_webp() -> None:
    content = b"VP8X" + struct.pack("<IB3x", 10, 0) + (500).to_bytes(3, "little") + (36).to_bytes(3, "little")
    data = b"RIFF" + struct.pack("<I", len(content) + 4) + b"WEBP" + content
    assert read_header(data).size_hw == (37, 501)


SIGNATURES = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBP", b"BM", b""]


@given(start=st.sampled_from(SIGNATURES), rest=st.binary(max_size=80))
def test_noise_is_a_picture_error_and_nothing_else(start: bytes, rest: bytes) -> None:
    with pytest.raises(PictureError):
        read_rgb(start + rest)


SHRINKS = [Shrink((20, 20), "longer"), Shrink((10, 24), "both")]


def test_other_formats_and_arrays_are_halved_exactly(photo: Image) -> None:
    large = np.tile(photo, (3, 3, 1))
    count = SHRINKS[0].halvings((large.shape[0], large.shape[1]))
    assert count == 3
    for source in (large, encode(large, ".png"), encode(large, ".bmp"), read_picture(large, None)):
        picture = read_picture(source, SHRINKS[0])
        assert (picture.size_hw, picture.halvings) == (large.shape[:2], 3)
        np.testing.assert_array_equal(picture.image_rgb_u8, halve(large, 3))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_picture_of_pillow_is_what_its_file_is(photo: Image, orientation: int) -> None:
    pillow = pytest.importorskip("PIL.Image")
    data = with_exif(encode(photo, ".png"), orientation)
    assert difference(read_rgb(pillow.open(io.BytesIO(data))), read_rgb(data)) == 0


def test_modes_of_pillow(photo: Image) -> None:
    pillow = pytest.importorskip("PIL.Image")
    grey = np.ascontiguousarray(photo[..., 0])
    alpha = np.concatenate([photo, photo[..., :1]], axis=2)
    wanted = np.repeat(grey[..., None], 3, axis=2)
    assert difference(read_rgb(pillow.fromarray(photo)), photo) == 0
    assert difference(read_rgb(pillow.fromarray(alpha)), photo) == 0
    assert difference(read_rgb(pillow.fromarray(grey)), wanted) == 0
    assert difference(read_rgb(pillow.fromarray(grey.astype(np.uint16) * 256 + 77)), wanted) == 0
    with pytest.raises(PictureError, match="80x60 is not between 1 and 100 pixels"):
        read_rgb(pillow.fromarray(photo), max_pixels=100)
    with pytest.raises(PictureError, match="the Pillow picture: cannot be decoded"):
        read_rgb(pillow.open(io.BytesIO(encode(photo, ".png")[:-2000])))


@pytest.mark.parametrize(
    "address", ["https://example.org/a.jpg", "http://x/y", "rtsp://camera/1", "s3://b/k"]
)
def test_an_address_is_refused_and_never_downloaded(address: str) -> None:
    with pytest.raises(PictureError, match="is an address, and nothing is downloaded"):
        read_rgb(address)


def test_a_tile_larger_than_the_limit_is_refused() -> None:
    tags = [(256, 10), (257, 10), (322, 20000), (323, 20000)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    with pytest.raises(PictureError, match="400,000,000 pixels"):
        read_rgb(b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4))


def test_a_big_tiff_tells_its_size() -> None:
    entries = b"".join(struct.pack("<HHQQ", tag, 16, 1, value) for tag, value in [(256, 70), (257, 30)])
    data = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 2) + entries + bytes(8)
    assert read_header(data).size_hw == (30, 70)


def test_a_file_larger_than_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)  # takes no room on the disk
    with pytest.raises(PictureError, match=r"huge\.jpg: has 1\.0 GiB"):
        read_rgb(path)


def test_opencv_has_a_wall_of_its_own(photo: Image, tmp_path: Path) -> None:
    """A header that passes our limit by mistake stops at OpenCV's, which it reads when it is imported."""
    (tmp_path / "a.png").write_bytes(encode(photo, ".png"))
    read = "import os, tombola; print(os.environ[NAME]); os.environ[NAME] = '100'; import cv2, sys;" + (
        "print(cv2.imread(sys.argv[1]))"
    )
    command = [sys.executable, "-c", f"NAME = 'OPENCV_IO_MAX_IMAGE_PIXELS'; {read}", str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert MAX_PIXELS < int(done.stdout.split()[0]) < 2**29
    assert done.stdout.split()[1:] == ["None"] or "cv2.error" in done.stderr
