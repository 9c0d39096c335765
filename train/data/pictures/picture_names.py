"""Which picture of a store an annotation means, though it writes the name in another way."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from tombola.train.data.pictures.pictures import PictureStore
from tombola.train.data.text import composed


class PictureNames:
    """The names of a store, also by their Unicode form, with backslashes, and without suffix."""

    def __init__(self, store: PictureStore) -> None:
        self._store = store
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in store.names():
            self._by_name.setdefault(_key(name), []).append(name)
            self._by_stem.setdefault(stem_key(name), []).append(name)

    def __iter__(self) -> Iterator[str]:
        return (name for names in self._by_name.values() for name in names)

    def find(self, written: str) -> str | None:
        r"""Return the name that the store has for `written`: the very same, else the only one that differs by
        sub\a.jpg for sub/a.jpg or by its Unicode form."""
        if written.removeprefix("./") in self._store:
            return written.removeprefix("./")
        found = self._by_name.get(_key(written), [])
        return found[0] if len(found) == 1 else None

    def with_stem(self, stem: str) -> list[str]:
        """Return the names that are `stem` and a suffix; `stem` as `stem_key` gives it."""
        return self._by_stem.get(stem, [])


def stem_key(name: str) -> str:
    """Return a/b for a/b.jpg, in the form in which names are compared."""
    return str(PurePosixPath(_key(name)).with_suffix(""))


def _key(name: str) -> str:
    return composed(name.replace("\\", "/")).removeprefix("./")
