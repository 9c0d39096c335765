"""The formats that captions come in."""

from pathlib import Path

from tombola.errors import DataError
from tombola.train.data.captions import karpathy
from tombola.train.data.captions.annotations import CaptionFile
from tombola.train.data.captions.caption_set import CaptionSet

READERS = {"karpathy": karpathy.read}


def read(captions: Path, pictures: Path, split: str = "", format_name: str | None = None) -> CaptionFile:
    """Read captions with all their faults. DataError if nothing of that format is there."""
    name = format_name or "karpathy"
    if name not in READERS:
        raise DataError(f"format {name!r} is not known; use one of {', '.join(READERS)}")
    return READERS[name](captions, pictures, split)


def load(captions: Path, pictures: Path, split: str = "", format_name: str | None = None) -> CaptionSet:
    """Load what training uses. DataError names the first faults."""
    return read(captions, pictures, split, format_name).to_set()


def holds_captions(path: Path) -> bool:
    """Whether a file's beginning reads as captions."""
    try:
        with path.open("rb") as file:
            return b'"sentences"' in file.read(65536)
    except OSError:
        return False
