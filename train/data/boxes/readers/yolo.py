"""YOLO txt: one file a picture, one line a box: class, then centre x, centre y, width, height in 0 … 1."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tombola.errors import DataError
from tombola.train.data.boxes.annotations import (
    AnnotatedPicture,
    Annotations,
    choose_classes,
    to_detection_set,
)
from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.data.boxes.passed_over import annotation_files, passed_over, unread_pictures
from tombola.train.data.boxes.picture_size import checked_size_hw
from tombola.train.data.boxes.readers.yolo_line import Line, parse_line
from tombola.train.data.boxes.readers.yolo_names import NAME_FILES, YoloNames, find_names
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.pictures.picture_list import listed_pictures
from tombola.train.data.pictures.picture_names import PictureNames, stem_key
from tombola.train.data.pictures.pictures import PictureStore, open_pictures
from tombola.train.data.text import listed as shown
from tombola.train.recipe.text_file import read_text

MOST_BYTES = 64_000_000
MOST_BOXES = 100_000  # in one picture
SUFFIX = ".txt"


def load(
    annotations: Path, pictures: Path, classes: Sequence[str] | None = None, listed: Path | None = None
) -> DetectionSet:
    """Load a folder of YOLO txt files and their folder or tar of pictures.

    a/b.txt belongs to the picture a/b.jpg (or any other ending); a picture without txt has no boxes. Class
    names come from data.yaml, classes.txt or obj.names in the folder or one of the two above it; `classes`
    orders them, and names them where there is no such file. Lines with a polygon become its bounding box,
    lines with key points their box. DataError names the first faults.
    """
    return to_detection_set(read(annotations, pictures, classes, listed))


def read(
    annotations: Path, pictures: Path, classes: Sequence[str] | None = None, listed: Path | None = None
) -> Annotations:
    """Read the folder with all its faults, for `check`. DataError if it holds no txt, or has no names."""
    findings: list[Finding] = []
    files = _label_files(annotations, findings)
    if not files:
        raise DataError(f"{annotations}: no folder with .txt files; name the folder of the YOLO labels")
    said = find_names(annotations)
    said = YoloNames(said.names or _asked_names(annotations, classes), said.kpt_shape)
    store = open_pictures(pictures)
    names = PictureNames(store)
    reader = _Reader(annotations, store, said, findings)
    chosen = names if listed is None else listed_pictures(listed, names, findings)
    annotated = [reader.read(files.get(stem_key(picture)), picture) for picture in sorted(chosen)]
    for stem, path in files.items():
        own, where = names.with_stem(stem), path.relative_to(annotations).as_posix()
        if len(own) > 1:
            what = f"it is named like {shown(own)}: whose are the labels?"
            cure = "keep one of the pictures, or give each a name and a txt file of its own"
            findings.append(Finding(Kind.BAD_ANNOTATION, where, what, cure))
        elif not own and not path.name.lower().startswith("readme"):
            what = f"no picture named {stem} in {store}"
            findings.append(
                Finding(Kind.MISSING_PICTURE, where, what, "copy it there or remove the txt file")
            )
    findings += [*reader.ambiguous(), *passed_over(annotations, SUFFIX, names, set(files))]
    if pictures.resolve() != annotations.resolve():
        findings += unread_pictures(store)
    return Annotations(
        source=str(annotations),
        classes=choose_classes(classes, list(said.names.values())),
        pictures_annotated=tuple(annotated),
        pictures=store,
        findings=tuple(findings),
    )


def _asked_names(root: Path, classes: Sequence[str] | None) -> dict[int, str]:
    if classes is None:
        raise DataError(
            f"{root}: no class names found; put a classes.txt with one name a line beside the labels, "
            "or give `classes`"
        )
    return dict(enumerate(classes))


def _label_files(root: Path, findings: list[Finding]) -> dict[str, Path]:
    """Return {stem relative to root: path}."""
    files: dict[str, Path] = {}
    for relative, path in annotation_files(root, SUFFIX).items():
        if path.name in NAME_FILES:
            continue
        other = files.setdefault(stem_key(relative), path)
        if other is not path:
            what = f"{other.relative_to(root)} is a file for the same picture"
            findings.append(Finding(Kind.ANNOTATED_TWICE, relative, what, "join the two files"))
    return files


class _Reader:
    """Reads label files one after the other; what cannot be read goes into `findings`."""

    def __init__(self, root: Path, store: PictureStore, said: YoloNames, findings: list[Finding]) -> None:
        self.root, self.store, self.said, self.findings = root, store, said, findings
        # Of all lines that were taken for polygons: how many key points they may be.
        self._polygons: set[int] = set()

    def read(self, path: Path | None, picture: str) -> AnnotatedPicture:
        where = picture if path is None else path.relative_to(self.root).as_posix()
        size_hw = checked_size_hw(self.store, picture, where, None, self.findings)
        lines = self._lines(path, where) if path is not None else []
        height, width = size_hw or (0, 0)
        kept = lines if size_hw is not None else []
        boxes_xyxy = np.array([line.box for line in kept], np.float64).reshape(-1, 4)
        return AnnotatedPicture(
            file_name=picture,
            where=where,
            boxes_xyxy=boxes_xyxy * np.array([width, height, width, height]),
            class_names=tuple(self.said.names.get(line.label, f"number {line.label}") for line in kept),
            difficult=np.zeros(len(kept), np.bool_),
            size_hw=size_hw,
        )

    def _lines(self, path: Path, where: str) -> list[Line]:
        try:
            texts = read_text(path, MOST_BYTES).split("\n")
            if len(texts) > MOST_BOXES:
                raise ValueError(f"it holds more than {MOST_BOXES} lines")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.findings.append(
                Finding(Kind.BAD_ANNOTATION, where, f"not readable: {reason}", "export it again")
            )
            return []
        lines = []
        for number, text in enumerate(texts, start=1):
            if not text.strip():
                continue
            try:
                line = parse_line(text, self.said.kpt_shape)
            except ValueError as error:
                cure = "write: class, centre x, centre y, width, height, all but the class in 0 … 1"
                self.findings.append(
                    Finding(Kind.BAD_ANNOTATION, f"{where}, line {number}", str(error), cure)
                )
                continue
            if line.points is not None:
                self._polygons.add(line.points)
            lines.append(line)
        return lines

    def ambiguous(self) -> list[Finding]:
        """The finding of a set whose polygons may all be boxes with key points, equally many."""
        if len(self._polygons) != 1 or 0 in self._polygons:
            return []
        (points,) = self._polygons
        what = f"its lines of {4 + 2 * points} numbers may be polygons, or boxes with {points} key points"
        cure = (
            f"write `kpt_shape: [{points}, 2]` into data.yaml, or the boxes alone: class, x, y, width, height"
        )
        return [Finding(Kind.BAD_ANNOTATION, str(self.root), what, cure)]
