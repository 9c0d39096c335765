"""A folder, or plain tar, with one folder of pictures per class: CLASS/NAME.jpg."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from tombola.errors import DataError
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.labels.labelled import LabelledPictures, check_classes
from tombola.train.data.pictures.pictures import UNREAD_SUFFIXES, PictureStore, open_pictures
from tombola.train.data.pictures.pixels import FilePixels

SETS = frozenset({"train", "training", "valid", "val", "validation", "dev", "test", "testing"})


def read(pictures: Path, labels: Path | None, classes: Sequence[str] | None = None) -> LabelledPictures:
    """Read the folder with all its faults, for `check`; the pictures are not opened yet.

    A picture's class is the name of the topmost folder that it is in. The classes are those folders, sorted,
    unless `classes` gives them; then a picture of another folder is a fault. What is hidden, by a name that
    begins with a dot (.ipynb_checkpoints, ._photo.jpg), is passed over.
    """
    if labels is not None:
        raise DataError(f"{pictures}: its folders are the labels; do not name {labels} too")
    store = open_pictures(pictures)
    shown = [name for name in store.names() if not _is_hidden(name)]
    file_names = [name for name in shown if "/" in name]
    findings = [*_loose(shown, pictures), *_passed_over(store)]
    homes = [PurePosixPath(name).parts[0] for name in file_names]
    if classes is None:
        folders = (path for path in pictures.iterdir() if path.is_dir()) if pictures.is_dir() else ()
        names = tuple(sorted({*homes, *(path.name for path in folders if not path.name.startswith("."))}))
        findings += _sets_as_classes(names, pictures)
    else:
        names = check_classes(classes)
    number = {name: label for label, name in enumerate(names)}
    return LabelledPictures(
        source=str(pictures),
        classes=names,
        labels=np.array([number.get(home, -1) for home in homes], np.int64),
        names=tuple(file_names),
        pixels=FilePixels(store, file_names, str(pictures.resolve())),
        findings=tuple(findings),
    )


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _loose(names: Sequence[str], pictures: Path) -> list[Finding]:
    """Pictures that lie in no class's folder; one finding where none lies in any."""
    loose = [name for name in names if "/" not in name]
    what = "it lies in no class's folder"
    if len(loose) == len(names) > 1:
        what = f"its {len(loose)} pictures lie in no class's folder"
        cure = "name the folder above, if this is the folder of one class; else make a folder for each class"
        return [Finding(Kind.BAD_ANNOTATION, str(pictures), what, cure)]
    return [
        Finding(Kind.BAD_ANNOTATION, name, what, "move it into the folder of its class") for name in loose
    ]


def _passed_over(store: PictureStore) -> list[Finding]:
    """Pictures of formats that nothing here reads."""
    unread = [name for name in store.names(UNREAD_SUFFIXES) if not _is_hidden(name)]
    if not unread:
        return []
    suffixes = ", ".join(sorted({PurePosixPath(name).suffix.lower() for name in unread}))
    what = f"files that are not read ({suffixes}): {len(unread)}, this one the first"
    return [Finding(Kind.UNREAD_FORMAT, unread[0], what, "save them as JPEG or PNG")]


def _sets_as_classes(classes: Sequence[str], pictures: Path) -> list[Finding]:
    """Classes that are named like the sets that a recipe divides pictures into."""
    if len(classes) < 2 or not {name.lower() for name in classes} <= SETS:
        return []
    what = f"its classes are {', '.join(classes)}, which look like sets"
    training = next((name for name in classes if name.lower().startswith("train")), classes[0])
    cure = f"name one of them, as {pictures / training}, or, if they are classes, name them as such"
    return [Finding(Kind.SETS_AS_CLASSES, str(pictures), what, cure)]
