"""CIFAR-10 and CIFAR-100 in their Python form: pickled batches of 32 × 32 pictures and their labels.

Source: https://www.cs.toronto.edu/~kriz/cifar.html: a dictionary with `data`, uint8 [n, 3072], all red values
of a picture, then green, then blue, row by row; and `labels`, or `fine_labels` of CIFAR-100.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.labels.array_pickle import load_arrays
from tombola.train.data.labels.labelled import LabelledPictures, named_labels
from tombola.train.data.pictures.pixels import ArrayPixels, JoinedPixels

SIDE_PX = 32
TRAIN_BATCHES = ("data_batch_*", "train")
TEST_BATCHES = ("test_batch", "test")
NAME_FILES = {"batches.meta": "label_names", "meta": "fine_label_names"}


def read(pictures: Path, labels: Path | None, classes: Sequence[str] | None = None) -> LabelledPictures:
    """Read a batch file, a folder of them or a pattern such as data_batch_*, with all faults for `check`.

    Class names come from batches.meta or meta beside the batches; `classes` orders them, and names the labels
    where there is no such file. DataError if a batch cannot be read, or training and test are mixed.
    """
    if labels is not None:
        raise DataError(f"{pictures}: CIFAR's batches hold their labels; do not name {labels} too")
    paths = batch_files(pictures)
    findings: list[Finding] = []
    batches = [_read_batch(path, findings) for path in paths]
    written = _class_names(paths[0].parent)
    names, numbers = named_labels(
        np.concatenate([numbers for _, numbers in batches]), written, classes, str(pictures)
    )
    return LabelledPictures(
        source=str(pictures),
        classes=names,
        labels=numbers,
        names=tuple(
            f"{path.name}[{index}]"
            for path, (_, own) in zip(paths, batches, strict=True)
            for index in range(len(own))
        ),
        pixels=JoinedPixels([pixels for pixels, _ in batches]),
        findings=tuple(findings),
    )


def batch_files(pictures: Path) -> list[Path]:
    """Return the batches at a path or pattern, sorted. DataError if there are none, or training and test."""
    if pictures.is_file():
        return [pictures]
    if not pictures.is_dir():
        found = sorted(path for path in pictures.parent.glob(pictures.name) if path.is_file())
        if not found:
            raise DataError(f"{pictures}: no such batch; check the path")
        return found
    train, test = (
        sorted(path for pattern in patterns for path in pictures.glob(pattern) if path.is_file())
        for patterns in (TRAIN_BATCHES, TEST_BATCHES)
    )
    if train and test:
        raise DataError(
            f"{pictures} holds batches for training and for test; "
            f"name {train[0].name}, a pattern such as data_batch_*, or {test[0].name} in it"
        )
    if not train and not test:
        raise DataError(f"{pictures} holds no batch (data_batch_1, test_batch, train, test); check the path")
    return train or test


def _read_batch(path: Path, findings: list[Finding]) -> tuple[ArrayPixels, NDArray[np.int64]]:
    content = _read_dictionary(path)
    data = content.get("data")
    numbers = content.get("fine_labels", content.get("labels"))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3 * SIDE_PX**2,):
        raise DataError(
            f"{path} has no `data` of uint8 [n, {3 * SIDE_PX**2}]; check that it is a CIFAR batch"
        )
    if isinstance(numbers, np.ndarray):
        numbers = numbers.reshape(-1).tolist()
    if not isinstance(numbers, list | tuple) or not all(
        type(one) is int and one.bit_length() < 63 for one in numbers
    ):
        raise DataError(f"{path} has no `labels` that are whole numbers; check that it is a CIFAR batch")
    labels = np.array(numbers, np.int64)
    if len(labels) != len(data):
        what = f"{len(data)} pictures, but {len(labels)} labels"
        findings.append(Finding(Kind.BAD_ANNOTATION, path.name, what, "download it again"))
    count = min(len(labels), len(data))
    return ArrayPixels(data[:count].reshape(count, 3, SIDE_PX, SIDE_PX), str(path.resolve())), labels[:count]


def _class_names(folder: Path) -> tuple[str, ...] | None:
    for file_name, key in NAME_FILES.items():
        if (folder / file_name).is_file():
            names = _read_dictionary(folder / file_name).get(key)
            if not isinstance(names, list) or not all(isinstance(name, bytes | str) for name in names):
                raise DataError(f"{folder / file_name} has no list `{key}`; download it again")
            return tuple(
                name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names
            )
    return None


def _read_dictionary(path: Path) -> Mapping[str, Any]:
    content = load_arrays(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no dictionary; check that it is a CIFAR batch")
    # Python 2 wrote the keys, which come as bytes.
    return {
        key.decode("latin-1") if isinstance(key, bytes) else key: value
        for key, value in content.items()
        if isinstance(key, bytes | str)
    }
