"""Files that nobody put there on purpose: what file systems and viewers leave beside pictures."""

from pathlib import PurePosixPath

_CLUTTER = frozenset(
    {
        "__macosx",
        "thumbs.db",
        "desktop.ini",
        "@eadir",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)


def is_clutter(name: str) -> bool:
    """Return whether a part of the path is hidden (.DS_Store, ._a.jpg, .ipynb_checkpoints) or a system's."""
    return any(
        part.startswith(".") or part.lower() in _CLUTTER for part in PurePosixPath(name).parts if part != ".."
    )
