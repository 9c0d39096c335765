"""CIFAR's batches: as Python 2 wrote them, as Python 3 would, and with something else inside."""

import os
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tombola.errors import DataError
from tombola.train.data.labels.array_pickle import load_arrays
from tombola.train.data.labels.classify_formats import load

rng = np.random.default_rng(4)


def text(value: str | bytes) -> bytes:
    """A Python 2 string in pickle's protocol 2: BINSTRING, its length, its bytes."""
    content = value.encode() if isinstance(value, str) else value
    return b"T" + struct.pack("<i", len(content)) + content


def python2_batch(
    data: np.ndarray[Any, np.dtype[np.uint8]], labels: Sequence[int], key: str = "labels"
) -> bytes:
    """A batch as the published ones are: the opcodes that Python 2 and NumPy 1 write, by hand."""
    shape = b"".join(b"J" + struct.pack("<i", side) for side in data.shape)
    dtype = (
        b"cnumpy\ndtype\n"
        + text("u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text("|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R"
        b"(K\x01" + shape + b"\x86" + dtype + b"\x89" + text(data.tobytes()) + b"tb"
    )
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return (
        b"\x80\x02}("
        + text("data")
        + array
        + text(key)
        + numbers
        + text("batch_label")
        + text("1 of 1")
        + b"u."
    )


def pictures(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return rng.integers(0, 256, (count, 3072), dtype=np.uint8)


def write_batch(
    path: Path, labels: Sequence[int], key: str = "labels"
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    data = pictures(len(labels))
    path.write_bytes(python2_batch(data, labels, key))
    return data


def write_names(path: Path, names: Sequence[str], key: str = "label_names") -> None:
    path.write_bytes(b"\x80\x02}" + text(key) + b"](" + b"".join(map(text, names)) + b"es.")


def test_the_published_form_is_understood_by_pickle_itself() -> None:
    """The batch that these tests write by hand is what Python 2 would have written."""
    data = pictures(2)
    content = pickle.loads(python2_batch(data, [3, 1]), encoding="bytes")
    assert (content[b"data"] == data).all()
    assert content[b"labels"] == [3, 1]


def test_red_green_and_blue_are_where_the_format_has_them(tmp_path: Path) -> None:
    data = write_batch(tmp_path / "data_batch_1", [1, 0, 2])
    one = load(tmp_path / "data_batch_1")
    assert one.labels.tolist() == [1, 0, 2]
    assert one.classes == ("0", "1", "2")
    assert one.names[2] == "data_batch_1[2]"
    image_rgb_u8 = one.read(2)
    assert image_rgb_u8.shape == (32, 32, 3)
    assert image_rgb_u8.dtype == np.uint8
    row, column = 5, 17
    assert image_rgb_u8[row, column].tolist() == [
        data[2, plane * 1024 + row * 32 + column] for plane in range(3)
    ]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_python_3_writes_is_read_too(tmp_path: Path, protocol: int, order: Any) -> None:
    data = np.asarray(pictures(3), order=order)
    with (tmp_path / "train").open("wb") as file:
        pickle.dump(
            {"data": data, "fine_labels": [0, 1, 0], "coarse_labels": [5, 5, 5]}, file, protocol=protocol
        )
    one = load(tmp_path / "train")
    assert one.labels.tolist() == [0, 1, 0]
    assert (one.read(1).transpose(2, 0, 1).reshape(-1) == data[1]).all()


def test_names_come_from_the_file_beside_and_can_be_put_in_order(tmp_path: Path) -> None:
    write_batch(tmp_path / "test_batch", [2, 0, 1, 2])
    write_names(tmp_path / "batches.meta", ["plane", "car", "bird"])
    assert load(tmp_path).classes == ("plane", "car", "bird")
    turned = load(tmp_path, classes=["bird", "car", "plane"])
    assert turned.classes == ("bird", "car", "plane")
    assert turned.labels.tolist() == [0, 2, 1, 0]
    with pytest.raises(DataError, match="has no class 'frog'; its classes are plane, car, bird"):
        load(tmp_path, classes=["plane", "car", "frog"])
    with pytest.raises(DataError, match=r"test_batch\[0\]: its class is not one of those asked for"):
        load(tmp_path, classes=["plane", "car"])


def test_a_label_beyond_the_names_is_named(tmp_path: Path) -> None:
    write_batch(tmp_path / "test", [0, 3], "fine_labels")
    write_names(tmp_path / "meta", ["apple", "bear"], "fine_label_names")
    for classes in (None, ["bear", "apple"]):
        with pytest.raises(DataError, match=r"test\[1\]: label 3, but there are 2 classes"):
            load(tmp_path, classes=classes)


def test_a_pattern_and_a_folder_read_all_batches_in_order(tmp_path: Path) -> None:
    first, second = (
        write_batch(tmp_path / "data_batch_1", [0, 1]),
        write_batch(tmp_path / "data_batch_2", [1]),
    )
    for path in (tmp_path / "data_batch_*", tmp_path):
        one = load(path)
        assert one.names == ("data_batch_1[0]", "data_batch_1[1]", "data_batch_2[0]")
        assert one.labels.tolist() == [0, 1, 1]
        assert one.read(1)[0, 0, 0] == first[1, 0]
        assert one.read(2)[0, 0, 0] == second[0, 0]
    write_batch(tmp_path / "test_batch", [0])
    with pytest.raises(
        DataError, match="holds batches for training and for test; name data_batch_1, a pattern"
    ):
        load(tmp_path)
    assert len(load(tmp_path / "data_batch_*")) == 3


class Evil:
    """Pickles to a call of os.mkdir."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_would_run_something_does_not(tmp_path: Path, protocol: int) -> None:
    evil = tmp_path / "evil"
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": Evil(evil)}, protocol=protocol))
    with pytest.raises(DataError, match=r"it asks for \w+\.mkdir, which no array needs"):
        load(tmp_path / "data_batch_1", format_name="cifar")
    assert not evil.exists()
    pickle.loads(pickle.dumps(Evil(evil)))
    assert evil.exists()  # so the test could have failed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps([1, 2], 2), "holds no dictionary"),
        (pickle.dumps({"labels": [1]}, 2), r"has no `data` of uint8 \[n, 3072\]"),
        (pickle.dumps({"data": [1, 2], "labels": [1]}, 2), "has no `data`"),
        (pickle.dumps({"data": np.zeros((2, 10), np.uint8), "labels": [1, 1]}, 2), "has no `data`"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.float32), "labels": [1, 1]}, 2), "array of 'f4', not"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8)}, 2), "has no `labels`"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": ["a", "b"]}, 2), "has no `labels`"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1 << 70, 0]}, 2), "has no `labels`"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1.7]}, 2), "has no `labels`"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [[0], [1, 1]]}, 2), "no `labels`"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, 2), "2 pictures, but 1 labels"),
        (pickle.dumps({"data": np.zeros((0, 3072), np.uint8), "labels": []}, 4), "not one labelled picture"),
        (python2_batch(np.zeros((2, 3072), np.uint8), [1, 1])[:-2000], "damaged or no pickle"),
        (b"\x80\x02cnumpy\nndarray\n.", "holds no dictionary"),
        (b"\x80\x02}", "damaged or no pickle"),
        (b"\x80\x02}" + text("data") + b"cnumpy.core.multiarray\n_reconstruct\n)Rs.", "damaged or no pickle"),
        (b"\x80\x02c_codecs\nencode\n" + b"X\x01\x00\x00\x00aX\x03\x00\x00\x00rot\x86R.", "encoding 'rot'"),
        (b"no pickle at all", "damaged or no pickle"),
    ],
)  # fmt: skip
def test_a_batch_that_is_none_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "data_batch_1", format_name="cifar")


def nested(levels: int) -> object:
    """A list of twice the same list of twice …: small as a file, endless to whoever walks it."""
    value: object = [1, 2]
    for _ in range(levels):
        value = [value, value]
    return value


def tuples(levels: int) -> object:
    value: object = (1, 2)
    for _ in range(levels):
        value = (value, value)
    return value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"data": nested(60), "labels": [1]}, 2), "has no `data`"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": nested(60)}, 2), "has no `labels`"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [True]}, 2), "has no `labels`"),
        (pickle.dumps(tuples(60), 4)[:-1] + b"}\x94\x8c\x01ah\x00s.", "has no `data`"),
        # A tuple as a key would be hashed without end.
        (
            pickle.dumps(tuples(60), 2).replace(b"\x80\x02", b"\x80\x02}")[:-1] + b"Ns.",
            "damaged or no pickle",
        ),
        (pickle.dumps({10**5000: 1, "labels": []}, 2), "has no `data`"),
        (pickle.dumps({"data": {10**5000: 1}, "labels": []}, 2), "has no `data`"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", "has no `data`"),  # a place for two thousand million things
        (b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b".", "holds no dictionary"),
        (b"\x80\x02T\xff\xff\xff\x7f", "damaged or no pickle"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "damaged or no pickle"),
        (b"(i__main__\nX\n.", "uses pickle's INST"),
        (b"\x80\x02cnumpy\ndtype\n" + pickle.dumps(nested(60), 2)[2:-1] + b"\x85R.", "no dictionary"),
        (b"\x80\x02}}b.", "damaged or no pickle"),
        (b"\x80\x02)(.", "holds no dictionary"),
        (b"\x80\x02.", "damaged or no pickle"),
    ],
)
def test_a_pickle_that_would_keep_its_reader_busy_is_refused_at_once(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "data_batch_1", format_name="cifar")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    write_batch(tmp_path / "train", [0], "fine_labels")
    with pytest.raises(DataError, match="hold their labels; do not name"):
        load(tmp_path / "train", tmp_path / "train")
    with pytest.raises(DataError, match="no such batch"):
        load(tmp_path / "data_batch_*")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no batch"):
        load(tmp_path / "empty", format_name="cifar")
    (tmp_path / "meta").write_bytes(pickle.dumps({"fine_label_names": 3}, 2))
    with pytest.raises(DataError, match="has no list `fine_label_names`"):
        load(tmp_path / "train")
    with pytest.raises(DataError, match="does not exist"):
        load_arrays(tmp_path / "gone")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        load_arrays(tmp_path / "empty")
