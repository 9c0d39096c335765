"""The formats that captions come in, and which one a file is of."""

from pathlib import Path
from typing import Literal

from tombola.errors import DataError
from tombola.train.data.captions import coco_captions, karpathy, lines
from tombola.train.data.captions.annotations import CaptionFile
from tombola.train.data.captions.caption_set import CaptionSet

FormatName = Literal["karpathy", "coco-captions", "flickr-tokens", "csv"]
READERS = {
    "karpathy": karpathy.read,
    "coco-captions": coco_captions.read,
    "flickr-tokens": lines.read_tokens,
    "csv": lines.read_csv,
}
LOOKED_AT = 1 << 16  # bytes


def read(captions: Path, pictures: Path, split: str = "", format_name: str | None = None) -> CaptionFile:
    """Read captions with all their faults; the format is guessed unless it is named. split: of Karpathy's
    files alone, "" is all. DataError if nothing of that format is there."""
    name = format_name or guess_format(captions)
    if name not in READERS:
        raise DataError(f"format {name!r} is not known; use one of {', '.join(READERS)}")
    return READERS[name](captions, pictures, split)


def load(captions: Path, pictures: Path, split: str = "", format_name: str | None = None) -> CaptionSet:
    """Load what training uses. DataError names the first faults."""
    return read(captions, pictures, split, format_name).to_set()


def guess_format(captions: Path) -> FormatName:
    """The format of a file of captions. DataError if it is none."""
    try:
        beginning, end = _both_ends(captions)
    except OSError as error:
        raise DataError(f"{captions} cannot be read: {error.strerror}; check the path") from None
    if b'"sentences"' in beginning:
        return "karpathy"
    if b'"caption"' in beginning + end:
        return "coco-captions"
    if captions.suffix.lower() == ".csv":
        return "csv"
    first = beginning.partition(b"\n")[0]
    if b"\t" in first and b"#" in first:
        return "flickr-tokens"
    raise DataError(
        f"{captions} is neither Karpathy's JSON nor COCO's captions nor Flickr8k's tokens nor a .csv; check "
        "the path"
    )


def holds_captions(path: Path) -> bool:
    """Whether a file is one of captions."""
    try:
        return path.is_file() and bool(guess_format(path))
    except DataError:
        return False


def _both_ends(path: Path) -> tuple[bytes, bytes]:
    """COCO's files may have their images first and their captions last."""
    with path.open("rb") as file:
        beginning = file.read(LOOKED_AT)
        file.seek(0, 2)
        file.seek(max(0, file.tell() - LOOKED_AT))
        return beginning, file.read(LOOKED_AT)
