"""Where the pictures lie: a folder or a plain tar, read by name; and how their bytes become pixels."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.runtime.pictures.picture import decode
from tombola.runtime.pictures.suffixes import PICTURE_SUFFIXES
from tombola.train.data.pictures.clutter import is_clutter
from tombola.train.data.pictures.tar_index import read_tar_index


class PictureStore(Protocol):
    """Bytes of pictures by name. Names use forward slashes and are relative to the store's root."""

    def __contains__(self, name: object) -> bool: ...

    def names(self, suffixes: frozenset[str] | None = PICTURE_SUFFIXES) -> Iterator[str]:
        """Yield the name of every picture that is there, sorted; or of files with other suffixes, or (None)
        of every file. What is clutter is passed over."""

    def read_bytes(self, name: str, limit: int | None = None) -> bytes:
        """Return the bytes of picture `name`, at most the first `limit`. DataError if it is not there."""


class FolderPictures:
    """The pictures in `root` and its folders."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"FolderPictures({str(self.root)!r})"

    def path(self, name: str) -> Path | None:
        """Where picture `name` lies, or would; None outside of the folder."""
        # An annotation file may come from anywhere: it must not make us read outside of the folder.
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            return None
        return self.root.joinpath(*parts)

    def __contains__(self, name: object) -> bool:
        path = self.path(name) if isinstance(name, str) else None
        try:
            return path is not None and path.is_file()
        except (OSError, ValueError):  # a name longer than a file system's, or no text
            return False

    def names(self, suffixes: frozenset[str] | None = PICTURE_SUFFIXES) -> Iterator[str]:
        yield from sorted(path.relative_to(self.root).as_posix() for path in files_in(self.root, suffixes))

    def read_bytes(self, name: str, limit: int | None = None) -> bytes:
        path = self.path(name)
        if path is None:
            raise DataError(f"picture {name!r} lies outside of {self.root}; use a name inside of the folder")
        try:
            with path.open("rb") as file:
                return file.read() if limit is None else file.read(limit)
        except OSError as error:
            raise DataError(
                f"picture {name} cannot be read from {self.root}: {error.strerror}; "
                "copy it there or remove it from the annotations"
            ) from error


def files_in(folder: Path, suffixes: frozenset[str] | None = None) -> Iterator[Path]:
    """Yield the files in the folder and its folders, linked ones too, of these suffixes in any case.

    Clutter is passed over, and a folder that holds itself. DataError if a folder cannot be read.
    """
    for path in _paths_in(folder, frozenset()):
        if suffixes is None or path.suffix.lower() in suffixes:
            try:
                if path.is_file():
                    yield path
            except OSError:  # a link to itself, a name too long for where it points to
                continue


def _paths_in(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    try:
        real = folder.resolve()
        paths = [] if real in above else list(folder.iterdir())
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"folder {folder} cannot be read: {reason}; make it readable") from error
    for path in paths:
        if is_clutter(path.name):
            continue
        if path.is_dir():
            yield from _paths_in(path, above | {real})
        else:
            yield path


class TarPictures:
    """The pictures in a plain (not compressed) tar, indexed once and then read in place.

    It may be pickled and used from several threads: the tar is opened for each read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places = read_tar_index(path)

    def __repr__(self) -> str:
        return f"TarPictures({str(self.path)!r})"

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def names(self, suffixes: frozenset[str] | None = PICTURE_SUFFIXES) -> Iterator[str]:
        yield from sorted(
            name for name in self._places if _has_suffix(name, suffixes) and not is_clutter(name)
        )

    def read_bytes(self, name: str, limit: int | None = None) -> bytes:
        if name not in self._places:
            raise DataError(f"picture {name} is not in {self.path}; add it or remove it from the annotations")
        offset, size = self._places[name]
        wanted = size if limit is None else min(size, limit)
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                data = file.read(wanted)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}; check the path") from error
        if len(data) < wanted:
            raise DataError(f"picture {name} is cut off in {self.path}; copy the tar again")
        return data


def _has_suffix(name: str, suffixes: frozenset[str] | None) -> bool:
    return suffixes is None or PurePosixPath(name).suffix.lower() in suffixes


class MergedPictures:
    """Several stores as one; each name is read from the store that was named for it."""

    def __init__(self, homes: dict[str, PictureStore]) -> None:
        self._homes = homes

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._homes and name in self._homes[name]

    def names(self, suffixes: frozenset[str] | None = PICTURE_SUFFIXES) -> Iterator[str]:
        known = (name for name in self._homes if _has_suffix(name, suffixes))
        yield from sorted(name for name in known if name in self._homes[name])

    def read_bytes(self, name: str, limit: int | None = None) -> bytes:
        if name not in self._homes:
            raise DataError(f"picture {name} is in none of the merged sets")
        return self._homes[name].read_bytes(name, limit)


def open_pictures(path: Path) -> PictureStore:
    """Open a folder or a plain .tar of pictures. DataError if `path` is neither."""
    if path.is_dir():
        return FolderPictures(path)
    if path.is_file():
        return TarPictures(path)
    raise DataError(f"pictures {path}: no such folder or tar; check the path")


def decode_rgb(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a picture file's bytes to image_rgb_u8 [h, w, 3], upright, exactly as the runtime does.

    PictureError, which begins with `name`, if they are empty, too large, cut off or no picture.
    """
    return decode(data, name).image_rgb_u8


def merge_pictures(stores: Sequence[PictureStore], names: Sequence[Sequence[str]]) -> PictureStore:
    """Return one store in which names[i] are read from stores[i]. DataError if a name comes twice."""
    homes: dict[str, PictureStore] = {}
    for store, own in zip(stores, names, strict=True):
        for name in own:
            if name in homes:
                raise DataError(
                    f"picture {name} is in two of the merged sets ({homes[name]} and {store}); "
                    "keep it in one, or rename one of the files"
                )
            homes[name] = store
    return MergedPictures(homes)
