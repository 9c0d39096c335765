"""Files beside pictures and labels that nothing here reads."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from tombola.train.data.finding import Finding, Kind

# What the labels of a picture are written in, in one of the forms that are about.
LABEL_SUFFIXES = frozenset({".txt", ".xml", ".json", ".csv", ".yaml", ".yml", ".mat"})
# How exported sets end the name of a COCO file that lies among its pictures.
COCO_NAME = "annotations.coco.json"


def unread_files(names: Sequence[str]) -> list[Finding]:
    """One finding for all these files, which nothing here reads."""
    if not names:
        return []
    suffixes = ", ".join(sorted({PurePosixPath(name).suffix.lower() or "no suffix" for name in names}))
    what = f"files that are not read ({suffixes}): {len(names)}, this one the first"
    cure = "save pictures as JPEG or PNG; what is neither picture nor label may stay"
    return [Finding(Kind.UNREAD_FORMAT, names[0], what, cure)]
