"""Whether what a recipe names is there, without reading it."""

import glob
from collections.abc import Iterable
from pathlib import Path

from tombola.errors import DataError


def check_present(root: Path, names: Iterable[str], key: str) -> None:
    """DataError for the first of the files or folders under `root` that is missing; a glob (CIFAR's batches)
    needs one match. key: where the recipe names them, as "data.test"."""
    for name in names:
        path = root / name
        if not path.exists() and not glob.glob(str(path)):  # noqa: PTH207  # which takes any pattern
            raise DataError(f"{key} names {path}, which does not exist; correct it, or take it out")
