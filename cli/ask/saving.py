"""Where annotated copies go: one folder, a name for each source, no source ever overwritten."""

import os
from collections.abc import Iterable
from pathlib import Path

from tombola.cli.folder import make_folder
from tombola.errors import OutputError


class SaveFolder:
    """Hands out a path in `folder` for each source. Two sources of one name get `name.jpg` and `name-2.jpg`.

    Makes the folder; OutputError if that cannot be done. option: what named it; what: will lie there.
    """

    def __init__(
        self, folder: Path, sources: Iterable[Path], option: str = "--save", what: str = "annotated copy"
    ) -> None:
        make_folder(folder, option)
        self.folder = folder
        self._option, self._what = option, what
        self._sources = {os.path.realpath(source) for source in sources}
        self._taken: set[str] = set()

    def place(self, stem: str, suffix: str) -> Path:
        """A path named `stem` and `suffix`, numbered if it is taken; OutputError if a source lies there."""
        name, count = stem + suffix, 1
        while name.casefold() in self._taken:
            count += 1
            name = f"{stem}-{count}{suffix}"
        self._taken.add(name.casefold())
        path = self.folder / name
        if os.path.realpath(path) in self._sources:
            raise OutputError(
                f"{path}: the {self._what} would overwrite this source; give {self._option} another folder."
            )
        return path
