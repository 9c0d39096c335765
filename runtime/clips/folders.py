"""Which files and folders are clips."""

from pathlib import Path

from tombola.runtime.clips.container import container
from tombola.runtime.pictures.header import is_animated_webp
from tombola.runtime.pictures.suffixes import PICTURE_SUFFIXES

# What a folder's frames are kept in. A GIF is a clip by itself, and so is a WebP that moves.
STILL_SUFFIXES = PICTURE_SUFFIXES - {".gif"}


def clips_in(folder: Path) -> list[Path]:
    """The clips that lie directly in a folder, sorted: files that move, and folders of frames; hidden ones
    are passed over. Raises OSError."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return [entry for entry in entries if (is_frames(entry) if entry.is_dir() else moves(entry))]


def is_frames(folder: Path) -> bool:
    """Whether a folder is one clip: pictures lie in it, and nothing that moves. Raises OSError."""
    files = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    return any(map(is_still, files)) and not any(map(moves, files))


def moves(path: Path) -> bool:
    """Whether a file is an animated picture or a video, by its first bytes. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(64)
    return is_animated_webp(head) or (
        path.suffix.lower() not in STILL_SUFFIXES and container(path) is not None
    )


def is_still(path: Path) -> bool:
    """Whether a file is a picture that does not move, by its name: a frame."""
    return path.suffix.lower() in STILL_SUFFIXES
