"""How EXIF turns a JPEG, in every spelling of its orientation: what is decoded stands as the header says."""

import struct
from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.runtime.pictures.header import read_header
from tombola.runtime.pictures.picture import read_picture, read_rgb
from tombola.runtime.pictures.shrink import Shrink

NOISE = np.random.default_rng(5).integers(0, 256, (48, 64, 3), np.uint8)
PLAIN = cv2.imencode(".jpg", NOISE)[1].tobytes()
KINDS = {"BYTE": (1, "B"), "SHORT": (3, "H"), "LONG": (4, "I"), "SBYTE": (6, "b"), "SLONG": (9, "i")}


def directory(order: str, kind: int, word: str, orientation: int, entries: int = 1) -> bytes:
    """A TIFF structure of one entry, which says that it has `entries`."""
    value = struct.pack(order + word, orientation).ljust(4, b"\0")
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, entries)
    return start + struct.pack(order + "HHI", 0x0112, kind, 1) + value + bytes(4)


def with_blocks(*blocks: bytes) -> bytes:
    parts = [b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block for block in blocks]
    return PLAIN[:2] + b"".join(parts) + PLAIN[2:]


@pytest.mark.parametrize(("order", "kind"), product("<>", KINDS))
def test_any_type_of_whole_number_turns(order: str, kind: str) -> None:
    data = with_blocks(directory(order, *KINDS[kind], 6))
    assert read_header(data).upright_hw == (64, 48)
    np.testing.assert_array_equal(read_rgb(data), np.rot90(read_rgb(PLAIN), -1))
    halved = read_picture(data, Shrink((16, 16), "longer"))
    assert (halved.size_hw, halved.image_rgb_u8.shape) == ((64, 48), (16, 12, 3))


def test_the_first_of_two_blocks_counts() -> None:
    turned, plain = directory("<", 3, "H", 8), directory("<", 3, "H", 1)
    assert read_rgb(with_blocks(turned, plain)).shape == (64, 48, 3)
    assert read_rgb(with_blocks(plain, turned)).shape == (48, 64, 3)


def test_a_directory_that_is_cut_off_tells_what_it_holds() -> None:
    assert read_rgb(with_blocks(directory(">", 3, "H", 6, entries=9))).shape == (64, 48, 3)


@given(st.binary(max_size=40), st.sampled_from(["<", ">"]), st.integers(0, 12), st.integers(0, 30))
def test_header_and_pixels_agree_whatever_stands_there(
    noise: bytes, order: str, kind: int, place: int
) -> None:
    block = directory(order, kind, "H", 6)
    data = with_blocks(block[:place] + noise + block[place + len(noise) :])
    assert read_rgb(data).shape[:2] == read_header(data).upright_hw
