"""The formats that classification data come in, and which one a path holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tombola.errors import DataError
from tombola.train.data import idx
from tombola.train.data.classification_set import ClassificationSet
from tombola.train.data.labelled import LabelledPictures, to_classification_set

FormatName = Literal["idx", "cifar", "folder"]


def read(
    pictures: Path,
    labels: Path | None = None,
    classes: Sequence[str] | None = None,
    format_name: FormatName | None = None,
) -> LabelledPictures:
    """Read labelled pictures with all their faults, for `check`; the format is guessed unless it is named.

    DataError if nothing of that format is there.
    """
    name = format_name or guess_format(pictures)
    if name == "idx":
        return idx.read(pictures, labels, classes)
    raise DataError(f"format {name!r} is not known; use one of idx, cifar, folder")


def load(
    pictures: Path,
    labels: Path | None = None,
    classes: Sequence[str] | None = None,
    format_name: FormatName | None = None,
) -> ClassificationSet:
    """Load what training uses. DataError names the first faults."""
    return to_classification_set(read(pictures, labels, classes, format_name))


def guess_format(pictures: Path) -> FormatName:
    """Return idx, cifar or folder, as the files say. DataError if it is none of them."""
    if not pictures.exists():
        raise DataError(f"{pictures} does not exist; check the path")
    if idx.is_idx(pictures):
        return "idx"
    raise DataError(f"{pictures} is no idx file; name the format")
