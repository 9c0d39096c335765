"""A folder, or plain tar, with one folder of pictures per class: CLASS/NAME.jpg."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from tombola.errors import DataError
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.labelled import LabelledPictures, check_classes
from tombola.train.data.pictures import open_pictures
from tombola.train.data.pixels import FilePixels


def read(pictures: Path, labels: Path | None, classes: Sequence[str] | None = None) -> LabelledPictures:
    """Read the folder with all its faults, for `check`; the pictures are not opened yet.

    A picture's class is the name of the topmost folder that it is in. The classes are those folders, sorted,
    unless `classes` gives them; then a picture of another folder is a fault. What is hidden, by a name that
    begins with a dot (.ipynb_checkpoints, ._photo.jpg), is passed over.
    """
    if labels is not None:
        raise DataError(f"{pictures}: its folders are the labels; do not name {labels} too")
    store = open_pictures(pictures)
    file_names, findings = [], []
    for name in store.names():
        parts = PurePosixPath(name).parts
        if any(part.startswith(".") for part in parts):
            continue
        if len(parts) > 1:
            file_names.append(name)
        else:
            cure = "move it into the folder of its class"
            findings.append(Finding(Kind.BAD_ANNOTATION, name, "it lies in no class's folder", cure))
    homes = [PurePosixPath(name).parts[0] for name in file_names]
    if classes is None:
        folders = (path for path in pictures.iterdir() if path.is_dir()) if pictures.is_dir() else ()
        names = tuple(sorted({*homes, *(path.name for path in folders if not path.name.startswith("."))}))
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
