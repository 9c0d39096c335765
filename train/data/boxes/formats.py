"""The formats that detection data come in, and which one a path holds."""

from collections.abc import Sequence
from pathlib import Path

from tombola.errors import DataError
from tombola.train.data.boxes.annotations import Annotations, to_detection_set
from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.data.boxes.readers import coco, voc, yolo

READERS = {"coco": coco.read, "voc": voc.read, "yolo": yolo.read}


def read(
    annotations: Path,
    pictures: Path,
    classes: Sequence[str] | None = None,
    format_name: str | None = None,
    listed: Path | None = None,
) -> Annotations:
    """Read annotations with all their faults, for `check`; the format is guessed unless it is named.

    listed: a file that names, a line each, the pictures that are meant (VOC's ImageSets, YOLO's train.txt).

    DataError if nothing of that format is there.
    """
    name = format_name or guess_format(annotations)
    if name not in READERS:
        raise DataError(f"format {name!r} is not known; use one of {', '.join(READERS)}")
    return READERS[name](annotations, pictures, classes, listed)


def load(
    annotations: Path,
    pictures: Path,
    classes: Sequence[str] | None = None,
    format_name: str | None = None,
    listed: Path | None = None,
) -> DetectionSet:
    """Load what training uses. DataError names the first faults."""
    return to_detection_set(read(annotations, pictures, classes, format_name, listed))


def guess_format(annotations: Path) -> str:
    """Return coco for a .json file, voc for a folder of .xml, yolo for a folder of .txt files."""
    if annotations.is_file() and annotations.suffix.lower() == ".json":
        return "coco"
    if annotations.is_dir():
        for name, pattern in (("voc", "*.xml"), ("yolo", "*.txt")):
            if next(annotations.rglob(pattern), None) is not None:
                return name
        raise DataError(f"{annotations} holds neither .xml (VOC) nor .txt (YOLO) files; name their folder")
    if not annotations.exists():
        raise DataError(f"{annotations} does not exist; check the path")
    raise DataError(f"{annotations} is no .json file (COCO) and no folder (VOC, YOLO); name one of them")
