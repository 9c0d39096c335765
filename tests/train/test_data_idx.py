"""idx files byte by byte, and what is said of those that are damaged."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.data.labels import idx
from tombola.train.data.labels.classify_formats import load
from tombola.train.data.labels.labelled import named_labels

# Two pictures of 2 rows and 3 columns, written by hand: 0 … 5 and 250 … 255.
PICTURES = bytes.fromhex("00000803 00000002 00000002 00000003 000102030405 fafbfcfdfeff")
LABELS = bytes.fromhex("00000801 00000002 0701")


def write(folder: Path, pictures: bytes = PICTURES, labels: bytes = LABELS) -> tuple[Path, Path]:
    paths = folder / "some-images-idx3-ubyte", folder / "some-labels-idx1-ubyte"
    for path, content in zip(paths, (pictures, labels), strict=True):
        path.write_bytes(content)
    return paths


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_and_labels_are_where_the_bytes_say(tmp_path: Path, packed: bool) -> None:
    pack = gzip.compress if packed else bytes
    one = load(*write(tmp_path, pack(PICTURES), pack(LABELS)))
    assert len(one) == 2
    assert one.labels.tolist() == [7, 1]
    assert one.labels.dtype == np.int64
    assert one.classes == tuple("01234567")
    assert one.names == ("some-images-idx3-ubyte[0]", "some-images-idx3-ubyte[1]")
    image_rgb_u8 = one.read(0)
    assert image_rgb_u8.shape == (2, 3, 3)
    assert image_rgb_u8.dtype == np.uint8
    for channel in range(3):
        assert image_rgb_u8[..., channel].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert one.read(1)[1, 2].tolist() == [255, 255, 255]


def test_asked_classes_name_the_numbers(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(8)]
    assert load(*write(tmp_path), classes=names).classes == tuple(names)
    with pytest.raises(
        DataError, match=r"some-images-idx3-ubyte\[0\]: label 7, but there are 3 classes, 0 … 2"
    ):
        load(*write(tmp_path), classes=["a", "b", "c"])
    with pytest.raises(DataError, match="'a' is named twice"):
        load(*write(tmp_path), classes=["a", "a"])


@given(arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7))))
def test_any_array_comes_back(tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.uint8]) -> None:
    path = tmp_path_factory.getbasetemp() / "any-idx3-ubyte"
    path.write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, *values.shape) + values.tobytes())
    assert (idx.read_idx(path, axes=3) == values).all()
    assert idx.is_idx(path)


@pytest.mark.parametrize(
    ("pictures", "labels", "message"),
    [
        (PICTURES[:-1], LABELS, "holds less than the 2×2×3 = 12 bytes it says"),
        (PICTURES + b"\0", LABELS, "holds more than the 2×2×3 = 12 bytes it says"),
        (PICTURES[:7], LABELS, "cut off in its header"),
        (b"", LABELS, "begins with nothing"),
        (b"\x89PNG\r\n", LABELS, "no idx file: it begins with 89504e47"),
        (LABELS, PICTURES, "type 0x08 with 1 axes, not bytes .* with 3.*swapped"),
        (b"\0\0\x0d\x03" + PICTURES[4:], LABELS, "type 0x0d"),
        (bytes.fromhex("00000803 ffffffff ffffffff ffffffff"), LABELS, "says that it holds 4294967295×"),
        (bytes.fromhex("00000803 00000002 00000000 00000003"), LABELS, "says that it holds 2×0×3"),
        (gzip.compress(PICTURES, mtime=0)[:-9], LABELS, "cannot be read: .*copy it again"),
        (gzip.compress(PICTURES, mtime=0)[:10] + b"\xff" * 20, LABELS, "cannot be read: .*copy it again"),
        (PICTURES, LABELS[:-1], "some-labels-idx1-ubyte holds less"),
        (PICTURES, bytes.fromhex("00000801 00000003 070100"), "2 pictures, but .* has 3 labels"),
        (bytes.fromhex("00000803 00000000 00000002 00000003"), bytes.fromhex("00000801 00000000"), "not one"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path: Path, pictures: bytes, labels: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(*write(tmp_path, pictures, labels), format_name="idx")


def test_a_header_that_claims_gigabytes_costs_none(tmp_path: Path) -> None:
    head = bytes.fromhex("00000803 00008000 00000200 00000200")
    labels = tmp_path / "labels"
    labels.write_bytes(bytes.fromhex("00000801 00000001 00"))
    for data, words in (
        (head + b"x", "holds less than the 32768×512×512"),
        (gzip.compress(head + b"x"), r"says that it holds 8589934592 bytes, packed into \d+"),
    ):
        (tmp_path / "pictures").write_bytes(data)
        with pytest.raises(DataError, match=words):
            load(tmp_path / "pictures", labels, format_name="idx")


def test_many_classes_cost_no_time() -> None:
    """As many as ImageNet has."""
    names = [f"name {number}" for number in range(21_841)]
    turned, labels = named_labels(np.array([0, 21_840]), names, names[::-1], "x")
    assert (turned[0], labels.tolist()) == ("name 21840", [21_840, 0])
    with pytest.raises(DataError, match="'name 5' is named twice"):
        named_labels(np.array([0]), names, [*names, "name 5"], "x")
    with pytest.raises(DataError, match="name 9 and 21831 more"):
        named_labels(np.array([0]), names, ["cow"], "x")


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    pictures, labels = write(tmp_path)
    with pytest.raises(DataError, match="keeps labels in a file of their own"):
        load(pictures)
    with pytest.raises(DataError, match="gone does not exist"):
        load(pictures, tmp_path / "gone")
    with pytest.raises(DataError, match="gone does not exist"):
        load(tmp_path / "gone", labels, format_name="idx")
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path, labels, format_name="idx")
    assert not idx.is_idx(tmp_path)
