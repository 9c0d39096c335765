"""Clips with labels: a folder of clips a class, or a table that names their frames."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.runtime.clips.folders import clips_in
from tombola.runtime.pictures.picture import Picture, read_picture
from tombola.runtime.pictures.shrink import Shrink
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.labels.labelled import LabelledPictures, check_classes
from tombola.train.data.labels.steps import Steps
from tombola.train.data.pictures.clips import side_by_side
from tombola.train.data.pictures.clutter import is_clutter
from tombola.train.data.pictures.pixels import Pixels
from tombola.train.data.text import composed, quoted, whole
from tombola.train.recipe.text_file import read_text

MOST_BYTES = 100_000_000


class ClipFiles(Pixels):
    """Clips in files and folders. What is shown of one as a picture is a few of its frames, side by side."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, place: int, shrink: Shrink | None = None) -> Picture:
        """PictureError if it cannot be read."""
        return read_picture(side_by_side(self.paths[place]), shrink)

    def origin(self, place: int) -> str:
        return str(self.paths[place])


class _Row(NamedTuple):
    number: int
    clip: str
    start: int
    label: str


def read(clips: Path, labels: Path | None, classes: Sequence[str] | None = None) -> LabelledPictures:
    """Read clips with all their faults, for `check`; they are not opened yet.

    Without `labels` each class has a folder in `clips`, in which its clips lie: animated GIFs and WebPs,
    videos, folders of frames. labels: a table of three columns, clip, frame and label: from that frame on,
    counted from 0, the clip shows that class, until its next row. The classes are those that occur, sorted,
    unless `classes` gives them. DataError where `clips` is no folder, or the table cannot be read.
    """
    if not clips.is_dir():
        raise DataError(f"{clips} is not a folder of clips; check the path")
    asked = None if classes is None else check_classes([composed(name) for name in classes])
    return _by_folder(clips, asked) if labels is None else _by_table(clips, labels, asked)


def _by_folder(clips: Path, asked: tuple[str, ...] | None) -> LabelledPictures:
    try:
        folders = sorted(one for one in clips.iterdir() if one.is_dir() and not is_clutter(one.name))
        found = [(composed(folder.name), clip) for folder in folders for clip in clips_in(folder)]
    except OSError as error:
        raise DataError(f"{error.filename or clips} cannot be read: {error.strerror}; check it") from error
    names = asked or tuple(sorted({composed(folder.name) for folder in folders}))
    number = {name: label for label, name in enumerate(names)}
    steps = [Steps.of_all(number.get(home, -1)) for home, _ in found]
    return _labelled(clips, names, [clip for _, clip in found], steps, [])


def _by_table(clips: Path, labels: Path, asked: tuple[str, ...] | None) -> LabelledPictures:
    findings: list[Finding] = []
    rows: dict[str, list[_Row]] = {}
    for row in _rows(labels, findings):
        rows.setdefault(row.clip, []).append(row)
    names = asked or tuple(sorted({row.label for own in rows.values() for row in own}))
    number = {name: label for label, name in enumerate(names)}
    paths, steps = [], []
    for name, own in rows.items():
        where = f"{labels}, row {own[0].number}"
        starts = [row.start for row in own]
        if ".." in Path(name).parts or not (clips / name).exists():
            cure = "copy it there, or take its rows out"
            findings.append(Finding(Kind.MISSING_PICTURE, where, f"{name} is not in {clips}", cure))
        elif starts[0] != 0 or starts != sorted(set(starts)):
            what = f"the frames of {name} begin at {', '.join(map(str, starts[:5]))}"
            cure = "begin each clip with frame 0, and let frames rise"
            findings.append(Finding(Kind.BAD_ANNOTATION, where, what, cure))
        else:
            paths.append(clips / name)
            known = [number.get(row.label, -1) for row in own]
            # One label of another class spoils the clip, and is told as its.
            steps.append(Steps.of(starts, known) if min(known) >= 0 else Steps.of_all(-1))
    return _labelled(clips, names, paths, steps, findings)


def _rows(labels: Path, findings: list[Finding]) -> list[_Row]:
    try:
        table = list(csv.reader(io.StringIO(read_text(labels, MOST_BYTES)), strict=True))
    except csv.Error as error:
        raise DataError(f"{labels} is not a table of commas ({error}); check the file") from None
    except FileNotFoundError:
        raise DataError(f"{labels} does not exist; check the path") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{labels} cannot be read: {error}; check the path") from None
    rows = []
    for number, row in enumerate(table, 1):
        if not row or (number == 1 and row[1:2] == ["frame"]):
            continue
        try:
            clip, frame, label = (cell.strip() for cell in row)
            rows.append(_Row(number, clip, whole(frame), composed(label)))
        except ValueError:
            cure = "write the clip, the first frame as a whole number, and the label"
            what = f"{quoted(','.join(row))} is not clip, frame and label"
            findings.append(Finding(Kind.BAD_ANNOTATION, f"{labels}, row {number}", what, cure))
    return rows


def _labelled(
    clips: Path, names: tuple[str, ...], paths: list[Path], steps: list[Steps], findings: list[Finding]
) -> LabelledPictures:
    labels: NDArray[np.int64] = np.array([one.labels[-1] for one in steps], np.int64)
    return LabelledPictures(
        source=str(clips),
        classes=names,
        labels=labels,
        names=tuple(str(path.relative_to(clips)) for path in paths),
        pixels=ClipFiles([path.resolve() for path in paths]),
        findings=tuple(findings),
        steps=tuple(steps),
    )
