"""The formats that classification data come in, and which one a path holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tombola.errors import DataError
from tombola.train.data.labels import cifar, class_folders, clips, idx
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.data.labels.labelled import LabelledPictures, to_classification_set

FormatName = Literal["idx", "cifar", "folder", "clips"]

PICKLE_START = b"\x80"


def read(
    pictures: Path,
    labels: Path | None = None,
    classes: Sequence[str] | None = None,
    format_name: str | None = None,
) -> LabelledPictures:
    """Read labelled pictures with all their faults, for `check`; the format is guessed unless it is named.

    DataError if nothing of that format is there.
    """
    readers = {"idx": idx.read, "cifar": cifar.read, "folder": class_folders.read, "clips": clips.read}
    name = format_name or guess_format(pictures)
    if name not in readers:
        raise DataError(f"format {name!r} is not known; use one of {', '.join(readers)}")
    return readers[name](pictures, labels, classes)


def load(
    pictures: Path,
    labels: Path | None = None,
    classes: Sequence[str] | None = None,
    format_name: str | None = None,
) -> ClassificationSet:
    """Load what training uses: idx pictures and labels, CIFAR batches, a folder with a folder per class, or
    clips, which are never guessed: a class's GIFs may be pictures too.

    `classes` says which classes there are and in which order; it is needed for none of the formats, but idx
    has no names of its own. DataError names the first faults.
    """
    return to_classification_set(read(pictures, labels, classes, format_name))


def guess_format(pictures: Path) -> FormatName:
    """Return idx, cifar or folder, as the files say. DataError if it is none of them."""
    if pictures.is_dir():
        batches = (*cifar.TRAIN_BATCHES, *cifar.TEST_BATCHES)
        holds_batch = any(path.is_file() for pattern in batches for path in pictures.glob(pattern))
        return "cifar" if holds_batch else "folder"
    if pictures.is_file():
        if idx.is_idx(pictures):
            return "idx"
        if pictures.suffix.lower() == ".tar":
            return "folder"
        with pictures.open("rb") as file:
            if file.read(1) == PICKLE_START:
                return "cifar"
        raise DataError(
            f"{pictures} is neither idx (MNIST) nor a CIFAR batch nor a .tar of pictures; check the path"
        )
    if any(letter in pictures.name for letter in "*?["):
        return "cifar"
    raise DataError(f"{pictures} does not exist; check the path")
