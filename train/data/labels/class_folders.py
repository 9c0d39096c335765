"""A folder, or plain tar, with one folder of pictures per class: CLASS/NAME.jpg."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from tombola.errors import DataError
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.labels.labelled import LabelledPictures, check_classes
from tombola.train.data.pictures.clutter import is_clutter
from tombola.train.data.pictures.picture_names import stem_key
from tombola.train.data.pictures.pictures import open_pictures
from tombola.train.data.pictures.pixels import FilePixels
from tombola.train.data.text import composed
from tombola.train.data.unread import COCO_NAME, LABEL_SUFFIXES, unread_files

SETS = frozenset({"train", "training", "valid", "val", "validation", "dev", "test", "testing"})


def read(pictures: Path, labels: Path | None, classes: Sequence[str] | None = None) -> LabelledPictures:
    """Read the folder with all its faults, for `check`; the pictures are not opened yet.

    A picture's class is the name of the topmost folder that it is in. The classes are those folders, sorted,
    unless `classes` gives them; then a picture of another folder is a fault. Clutter (.ipynb_checkpoints,
    ._photo.jpg, __MACOSX) is passed over; a folder of annotations is a fault.
    """
    if labels is not None:
        raise DataError(f"{pictures}: its folders are the labels; do not name {labels} too")
    store = open_pictures(pictures)
    shown = list(store.names())
    file_names = [name for name in shown if "/" in name]
    homes = [composed(name.partition("/")[0]) for name in file_names]
    others = sorted(set(store.names(None)) - set(shown))
    findings = [*_loose(shown, pictures), *_annotations_as_classes(shown, others, pictures)]
    findings += unread_files(others)
    if classes is None:
        folders = (path for path in pictures.iterdir() if path.is_dir()) if pictures.is_dir() else ()
        empty = (composed(path.name) for path in folders if not is_clutter(path.name))
        names = tuple(sorted({*homes, *empty}))
        findings += _sets_as_classes(names, pictures)
    else:
        names = check_classes([composed(name) for name in classes])
    number = {name: label for label, name in enumerate(names)}
    return LabelledPictures(
        source=str(pictures),
        classes=names,
        labels=np.array([number.get(home, -1) for home in homes], np.int64),
        names=tuple(file_names),
        pixels=FilePixels(store, file_names, str(pictures.resolve())),
        findings=tuple(findings),
    )


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


def _annotations_as_classes(pictures: Sequence[str], others: Sequence[str], source: Path) -> list[Finding]:
    """The finding of a folder that holds annotations: labels beside pictures or in place of them."""
    stems = {stem_key(name).rpartition("/")[2] for name in pictures}
    homes = {name.partition("/")[0] for name in pictures}
    for name in others:
        path = PurePosixPath(name)
        if path.suffix.lower() not in LABEL_SUFFIXES:
            continue
        in_place = "/" in name and path.parts[0] not in homes
        if in_place or path.name.lower().endswith(COCO_NAME) or stem_key(path.name) in stems:
            what = "it looks like an annotation: these folders are no classes"
            cure = (
                'say format = "coco", "voc" or "yolo", or take such files out of the folders of the classes'
            )
            return [Finding(Kind.ANNOTATIONS_AS_CLASSES, f"{source}/{name}", what, cure)]
    return []


def _sets_as_classes(classes: Sequence[str], pictures: Path) -> list[Finding]:
    """Classes that are named like the sets that a recipe divides pictures into."""
    if len(classes) < 2 or not {name.lower() for name in classes} <= SETS:
        return []
    what = f"its classes are {', '.join(classes)}, which look like sets"
    training = next((name for name in classes if name.lower().startswith("train")), classes[0])
    cure = f"name one of them, as {pictures / training}, or, if they are classes, name them as such"
    return [Finding(Kind.SETS_AS_CLASSES, str(pictures), what, cure)]
