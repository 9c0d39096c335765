"""A folder that a command writes to."""

from pathlib import Path

from tombola.errors import OutputError


def make_folder(folder: Path, option: str) -> None:
    """Make it unless it is there; OutputError if that cannot be done. option: what named it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{option} {folder}: the folder cannot be made ({error.strerror}); give another."
        ) from error
