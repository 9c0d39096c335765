"""Where annotated copies go: one folder, a name for each source, no source ever overwritten."""

import os
from collections.abc import Iterable
from pathlib import Path

from tombola.errors import OutputError


class SaveFolder:
    """Hands out a path in `folder` for each source. Two sources of one name get `name.jpg` and `name-2.jpg`.

    Makes the folder; OutputError if that cannot be done.
    """

    def __init__(self, folder: Path, sources: Iterable[Path]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"--save {folder}: the folder cannot be made ({error.strerror}); give another."
            ) from error
        self.folder = folder
        self._sources = {os.path.realpath(source) for source in sources}
        self._taken: set[str] = set()

    def place(self, source: Path, suffix: str) -> Path:
        """The path for the copy of `source`, ending in `suffix`. OutputError if a source lies there."""
        name, count = source.stem + suffix, 1
        while name.casefold() in self._taken:
            count += 1
            name = f"{source.stem}-{count}{suffix}"
        self._taken.add(name.casefold())
        path = self.folder / name
        if os.path.realpath(path) in self._sources:
            raise OutputError(
                f"{path}: the annotated copy would overwrite this source; give --save another folder."
            )
        return path
