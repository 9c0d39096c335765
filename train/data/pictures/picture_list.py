"""Which pictures a list names: VOC's ImageSets/Main/train.txt, YOLO's train.txt."""

import re
from pathlib import Path

from tombola.errors import DataError
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.pictures.picture_names import PictureNames
from tombola.train.data.text import LONGEST_NAME, composed
from tombola.train.recipe.text_file import read_text

MOST_BYTES = 500_000_000
# VOC's lists of one class: 1 is there, 0 is difficult, -1 is not there.
_FLAGGED = re.compile(r"(\S+)\s+(-1|0|1)")


def listed_pictures(path: Path, names: PictureNames, findings: list[Finding]) -> set[str]:
    """Return the pictures that the list names, a line each: by path, by the end of a path, or without suffix.

    A picture that is not there goes into `findings`. DataError if the list cannot be read or is empty.
    """
    try:
        lines = [line.strip() for line in read_text(path, MOST_BYTES).split("\n") if line.strip()]
    except OSError as error:
        raise DataError(f"list {path} cannot be read: {error.strerror}; check the path") from error
    except ValueError as error:
        raise DataError(f"list {path}: {error}") from None
    if not lines:
        raise DataError(f"list {path} is empty; write the name of a picture into each line")
    flagged = [_FLAGGED.fullmatch(line) for line in lines]
    wanted = [one[1] for one in flagged if one is not None and one[2] != "-1"] if all(flagged) else lines
    chosen: set[str] = set()
    for number, line in enumerate(wanted, start=1):
        found = _picture(line, names)
        if found is None:
            where, cure = f"{path.name}, line {number}", "copy it there or take it out of the list"
            what = f"{line[:LONGEST_NAME]} is not among the pictures"
            findings.append(Finding(Kind.MISSING_PICTURE, where, what, cure))
        else:
            chosen.add(found)
    return chosen


def _picture(line: str, names: PictureNames) -> str | None:
    """The picture whose path is the longest end of the line's."""
    parts = line.replace("\\", "/").split("/")[-100:]
    for start in range(len(parts)):
        end = "/".join(parts[start:])
        found = names.find(end) if end else None
        if found is None and len(names.with_stem(composed(end))) == 1:
            found = names.with_stem(composed(end))[0]
        if found is not None:
            return found
    return None
