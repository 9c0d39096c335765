"""Proposals of many pictures in one file, so that they are searched once: an .npz, an array a picture."""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.data.boxes.detection_set import DetectionSet

# Keys are picture names, which may end in ".npy"; the prefix keeps NumPy from taking that off.
PREFIX = "picture:"


def write_proposals(path: Path, boxes: Mapping[str, NDArray[np.float32]]) -> None:
    """Write picture name -> boxes_xyxy float32 [n, 4] in that picture's pixels, best first."""
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, **{PREFIX + name: array for name, array in boxes.items()}
        )
    beside.replace(path)


def read_proposals(path: Path) -> dict[str, NDArray[np.float32]]:
    """What `write_proposals` wrote. DataError if the file is missing, damaged or holds something else."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            boxes = {name.removeprefix(PREFIX): file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"the proposals {path} cannot be read: {error}") from None
    for name, array in boxes.items():
        good = (
            array.ndim == 2 and array.shape[1] == 4 and array.dtype == np.float32 and np.isfinite(array).all()
        )
        if not good or not (array[:, :2] <= array[:, 2:]).all():
            raise DataError(
                f"{path}: the proposals of {name} must be finite float32 [n, 4] with x1 <= x2 and y1 <= y2, "
                f"but are {array.dtype} {list(array.shape)}"
            )
    return boxes


def with_proposals(data: DetectionSet, path: Path) -> DetectionSet:
    """The set, its records with the proposals in `path`. DataError if a picture has none there, or some
    reach out of it."""
    cure = "run `tombola data propose` on the recipe"
    if not path.exists():
        raise DataError(f"the proposals {path} are not there; {cure}")
    boxes = read_proposals(path)
    for record in data.records:
        if record.file_name not in boxes:
            raise DataError(f"{path} has no proposals of {record.file_name}; {cure}, which adds them")
        far = boxes[record.file_name].max(axis=0, initial=0)
        if record.size_hw is not None and (far[3] > record.size_hw[0] or far[2] > record.size_hw[1]):
            raise DataError(
                f"{path}: the proposals of {record.file_name} reach out of it, so they are not its own; "
                f"remove the file, and {cure}"
            )
    records = (replace(one, proposals_xyxy=boxes[one.file_name]) for one in data.records)
    return replace(data, records=tuple(records))
