"""What to look at: the files that a name stands for, and what was passed over."""

import glob
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tombola.errors import PictureError
from tombola.runtime.clips.container import container
from tombola.runtime.clips.folders import is_frames
from tombola.runtime.pictures.suffixes import PICTURE_SUFFIXES

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts"}
    | {".webm", ".wmv"}
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """One file to look at, and whether it is a picture or a video; or the picture that comes on stdin. A
    "clip" is looked at as a whole: a file, or a folder of frames."""

    path: Path
    kind: Literal["picture", "video", "stdin", "clip"]


@dataclass(frozen=True)
class Expansion:
    """What a name stands for: sources, sorted; and what lies there too but is neither picture nor video."""

    sources: list[Source]
    passed_over: list[Path]

    def as_clips(self, name: str) -> list[Source]:
        """The same for a model that looks at clips; `name` is what was expanded. A folder of frames is one
        clip."""
        folder = Path(name)
        if folder.is_dir() and is_frames(folder):
            return [Source(folder, "clip")]
        return [Source(one.path, "clip") for one in self.sources]


def expand(source: str | os.PathLike[str]) -> Expansion:
    """The files a source stands for: a file, a folder, a glob (`**` too), or `-`, a picture on stdin.

    Of a folder, not what lies deeper and not hidden files.
    A file that is named is taken whatever its suffix, a folder's or glob's only where its suffix is known.
    PictureError where nothing is there, it cannot be looked into, or the source is an address (a URL).
    """
    name = os.fspath(source)
    if not name:
        raise PictureError("an empty name names no picture; give a file, a folder or a glob.")
    if name == "-":
        return Expansion([Source(Path("-"), "stdin")], [])
    if _ADDRESS.match(name):
        raise PictureError(
            f"{name}: is an address, and nothing is ever downloaded by itself; "
            "save it to a file first, or send one picture in: curl -sL ADDRESS | detect -"
        )
    path = Path(name)
    try:
        # A name may hold the signs of a glob and still be a file.
        if _is_there(path) or not glob.has_magic(name):
            if not stat.S_ISDIR(path.stat().st_mode):
                return Expansion([_named(path)], [])
            return _folder(path)
        return _glob(name)
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise PictureError(
            f"{path}: cannot be looked into ({getattr(error, 'strerror', None) or error})."
        ) from error


def _is_there(path: Path) -> bool:
    """Whether something has that name; OSError where that cannot be known."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _named(path: Path) -> Source:
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return Source(path, "video")
    is_video = suffix not in PICTURE_SUFFIXES and path.is_file() and _starts_as_video(path)
    return Source(path, "video" if is_video else "picture")


def _folder(path: Path) -> Expansion:
    found = _sorted_out(entry for entry in path.iterdir() if not entry.name.startswith("."))
    if not found.sources:
        pattern = f"'{glob.escape(str(path))}/**'"
        is_deeper = any(map(os.path.isdir, found.passed_over))
        deeper = f"; {pattern} looks into its folders" if is_deeper else ""
        raise PictureError(f"{path}: the folder holds no pictures or videos ({_suffixes()}){deeper}.")
    return found


def _glob(pattern: str) -> Expansion:
    found = _sorted_out(Path(name) for name in glob.iglob(pattern, recursive=True))  # noqa: PTH207
    if not found.sources:
        raise PictureError(f"{pattern}: no picture or video matches ({_suffixes()}).")
    # `**` meets every folder on its way.
    return Expansion(found.sources, [path for path in found.passed_over if not os.path.isdir(path)])  # noqa: PTH112


def _sorted_out(paths: Iterable[Path]) -> Expansion:
    found = Expansion([], [])
    for path in sorted(paths):
        suffix = path.suffix.lower()
        if os.path.isdir(path):  # noqa: PTH112 - it raises nothing, Path.is_dir does
            found.passed_over.append(path)
        elif suffix in PICTURE_SUFFIXES:
            found.sources.append(Source(path, "picture"))
        elif suffix in VIDEO_SUFFIXES and not _is_type_script(path):
            found.sources.append(Source(path, "video"))
        else:
            found.passed_over.append(path)
    return found


def _is_type_script(path: Path) -> bool:
    """Whether a .ts or .mts is no transport stream: programs in TypeScript have these suffixes too."""
    return path.suffix.lower() in (".ts", ".mts") and not _starts_as_video(path)


def _starts_as_video(path: Path) -> bool:
    try:
        return container(path) is not None
    except OSError:  # it is told when the file is read
        return False


def _suffixes() -> str:
    return " ".join(sorted(PICTURE_SUFFIXES | VIDEO_SUFFIXES))
