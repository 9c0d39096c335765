"""idx: the form of MNIST and Fashion-MNIST, one file of pictures and one of labels, plain or gzip.

Source: http://yann.lecun.com/exdb/mnist: two zero bytes, a byte for the type, one for the number of axes, the
length of each axis as big-endian uint32, then the values.
"""

import gzip
import struct
import zlib
from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.labels.labelled import LabelledPictures, named_labels
from tombola.train.data.pictures.pixels import ArrayPixels

GZIP_MAGIC = b"\x1f\x8b"
UINT8 = 8
MOST_BYTES = 1 << 33
# A damaged header must not ask for all memory: data sets pack to a tenth, zeros to a thousandth.
MOST_PACKED_BYTES = 1 << 28
MOST_PACKED_RATIO = 100


def read(pictures: Path, labels: Path | None, classes: Sequence[str] | None = None) -> LabelledPictures:
    """Read idx3-ubyte `pictures` and idx1-ubyte `labels`, with all faults for `check`.

    `classes` names the labels 0, 1, …; without them they are called "0", "1", … DataError if a file cannot
    be read as idx.
    """
    if labels is None:
        raise DataError(f"{pictures}: idx keeps labels in a file of their own; name it (…-labels-idx1-ubyte)")
    images_u8 = read_idx(pictures, axes=3)
    numbers = read_idx(labels, axes=1).astype(np.int64)
    findings = []
    if len(images_u8) != len(numbers):
        what = f"{len(images_u8)} pictures, but {labels.name} has {len(numbers)} labels"
        findings.append(
            Finding(Kind.BAD_ANNOTATION, pictures.name, what, "name the two files that belong together")
        )
    count = min(len(images_u8), len(numbers))
    names, numbers = named_labels(numbers[:count], None, classes, str(labels))
    return LabelledPictures(
        source=str(pictures),
        classes=names,
        labels=numbers,
        names=tuple(f"{pictures.name}[{index}]" for index in range(count)),
        pixels=ArrayPixels(images_u8[:count], str(pictures.resolve())),
        findings=tuple(findings),
    )


def is_idx(path: Path) -> bool:
    """Return whether the file begins as an idx file of bytes does, plain or gzip."""
    try:
        with _open(path) as file:
            return file.read(3) == bytes((0, 0, UINT8))
    except (OSError, EOFError, zlib.error):
        return False


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """Return the array uint8 with that many axes. DataError if the file is missing, damaged or no such."""
    try:
        with _open(path) as file:
            return _parse(file, path, axes)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; copy it again") from error
    except MemoryError:
        raise DataError(f"{path} needs more memory than there is; use a machine with more") from None


def _open(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    return gzip.GzipFile(path) if packed else path.open("rb")


def _parse(file: BufferedIOBase, path: Path, axes: int) -> NDArray[np.uint8]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(f"{path} is no idx file: it begins with {magic.hex() or 'nothing'}; check the path")
    if (magic[2], magic[3]) != (UINT8, axes):
        raise DataError(
            f"{path} holds type {magic[2]:#04x} with {magic[3]} axes, not bytes (0x08) with {axes}; "
            "pictures have 3 axes and labels 1: are the two swapped?"
        )
    lengths = file.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise DataError(f"{path} is cut off in its header; copy it again")
    shape = struct.unpack(f">{axes}I", lengths)
    size = int(np.prod(shape, dtype=object))
    if size > MOST_BYTES or (size == 0 and shape[0]):
        raise DataError(f"{path} says that it holds {'×'.join(map(str, shape))} bytes; copy it again")
    packed = isinstance(file, gzip.GzipFile)
    there = path.stat().st_size
    if packed and size > max(MOST_PACKED_BYTES, MOST_PACKED_RATIO * there):
        raise DataError(
            f"{path} says that it holds {size} bytes, packed into {there}; copy it again, or unpack it first"
        )
    data = file.read(size + 1) if packed or size <= there else b""
    if len(data) != size:
        said = f"{'×'.join(map(str, shape))} = {size} bytes"
        raise DataError(
            f"{path} holds {'less' if len(data) < size else 'more'} than the {said} it says; copy it again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)
