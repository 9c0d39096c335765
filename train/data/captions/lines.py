"""Captions line by line: Flickr8k's token file, and tables of file and caption."""

import csv
import io
from pathlib import Path

from tombola.errors import DataError
from tombola.train.data.captions.annotations import CaptionFile, CaptionReader
from tombola.train.data.captions.words import split_words
from tombola.train.data.pictures.clips import open_clips
from tombola.train.recipe.text_file import read_text

MOST_BYTES = 1_000_000_000


def read_tokens(captions: Path, pictures: Path, split: str = "") -> CaptionFile:
    r"""Flickr8k.token.txt: `name.jpg#0`, a tab, a caption; with all its faults. It has no splits."""
    reader = CaptionReader(captions, split)
    for number, line in enumerate(_text(captions).splitlines(), 1):
        name, tab, caption = line.partition("\t")
        stem, sign, place = name.rpartition("#")
        if line.strip() and not (tab and sign and place.isdigit() and stem):
            reader.bad(f"line {number}", "it is not `name.jpg#0`, a tab and a caption")
        elif line.strip():
            reader.add_one(stem, split_words(caption), f"line {number}")
    return reader.finish(open_clips(pictures))


def read_csv(captions: Path, pictures: Path, split: str = "") -> CaptionFile:
    """A comma-separated table of two columns, file and caption, a row a caption; with all its faults.

    A first row that names no picture is the header. It has no splits.
    """
    store = open_clips(pictures)
    reader = CaptionReader(captions, split)
    try:
        rows = list(csv.reader(io.StringIO(_text(captions)), strict=True))
    except csv.Error as error:
        raise DataError(f"{captions} is not a table of commas ({error}); check the format") from None
    for number, row in enumerate(rows, 1):
        if not row or (number == 1 and len(row) == 2 and row[0] not in store):
            continue
        if len(row) != 2:
            cure = "write two, and put a caption with commas in quotes"
            reader.bad(f"row {number}", f"it has {len(row)} columns, not file and caption", cure)
        else:
            reader.add_one(row[0].strip(), split_words(row[1]), f"row {number}")
    return reader.finish(store)


def _text(path: Path) -> str:
    try:
        return read_text(path, MOST_BYTES)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; check the path") from None
