"""Bring a data set of the catalogue to a folder, ready for a recipe."""

import shutil
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tombola.errors import DataError
from tombola.train.download.catalogue import DATA_SETS, RemoteDataSet, RemoteFile
from tombola.train.download.fetch import fetch
from tombola.train.download.weights import WEIGHTS

Tell = Callable[[str, int, int], None]


def find(name: str) -> RemoteDataSet:
    """Return the data set of that name. DataError lists those there are."""
    for one in DATA_SETS:
        if one.name == name:
            return one
    sets, weights = (", ".join(one.name for one in known) for known in (DATA_SETS, WEIGHTS))
    raise DataError(f"no {name!r} is known; there are the data sets {sets}, and the weights {weights}")


def get(data_set: RemoteDataSet, folder: Path, tell: Tell) -> None:
    """Download its files into `folder` and unpack its archives; what is there already is left as it is.

    `tell` is called with a file's name, the bytes that are there, and the bytes of the whole. DataError as
    `fetch` says, or if an archive cannot be unpacked.
    """
    for file in data_set.files:
        if file.unpacked and (folder / file.unpacked).is_dir():
            continue
        path = fetch(file, folder, partial(tell, file.name))
        if file.unpacked:
            _unpack(path, file)
            path.unlink()


def _unpack(path: Path, file: RemoteFile) -> None:
    """Unpack beside the archive, then rename: a folder of that name is whole."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{file.unpacked}-") as place:
        try:
            with tarfile.open(path) as tar:
                _write_files(tar, Path(place))
        except (tarfile.TarError, EOFError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{path} cannot be unpacked: {reason}; remove it to download it again") from error
        inside = Path(place) / file.inside
        if not inside.is_dir():
            raise DataError(f"{path} holds no folder {file.inside}; remove it to download it again")
        shutil.move(inside, path.parent / file.unpacked)


def _write_files(tar: tarfile.TarFile, place: Path) -> None:
    """Folders and plain files alone, links are left out: Python 3.11.2, Debian's, knows no filters."""
    for member in tar:
        path = place / member.name.lstrip("/")
        if not path.resolve().is_relative_to(place.resolve()):
            raise tarfile.TarError(f"{member.name} would lie outside")
        if content := tar.extractfile(member) if member.isfile() else None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
