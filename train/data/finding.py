"""What is wrong with a data set: one finding per fault, each with its place and its cure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tombola.errors import DataError


class Kind(StrEnum):
    """The faults that can be found, in the order in which a report lists them."""

    BAD_ANNOTATION = "bad annotation"
    ANNOTATED_TWICE = "annotated twice"
    MISSING_PICTURE = "missing picture"
    UNREADABLE_PICTURE = "unreadable picture"
    SIZE_DIFFERS = "size differs"
    UNKNOWN_CLASS = "unknown class"
    ZERO_AREA = "zero area"
    BOX_OUTSIDE = "box outside"
    DUPLICATE_BOX = "duplicate box"
    DUPLICATE_PICTURE = "duplicate picture"
    IN_TWO_SETS = "one picture in two sets"
    NEAR_TWIN = "near twins in two sets"
    NOT_ANNOTATED = "pictures without annotation"
    TWO_CLASSES = "one picture in two classes"
    CLASS_WITHOUT_BOXES = "class without boxes"
    CLASS_WITHOUT_PICTURES = "class without pictures"
    UNREAD_FORMAT = "files passed over"
    SETS_AS_CLASSES = "sets taken for classes"
    ANNOTATIONS_AS_CLASSES = "annotations taken for classes"
    NO_BOXES = "no boxes"
    NO_PICTURES = "no pictures"

    @property
    def stops_training(self) -> bool:
        """Whether a training refuses the set for it; the others are only worth a look."""
        return self not in (
            Kind.DUPLICATE_BOX,
            Kind.DUPLICATE_PICTURE,
            Kind.IN_TWO_SETS,
            Kind.NEAR_TWIN,
            Kind.NOT_ANNOTATED,
            Kind.TWO_CLASSES,
            Kind.CLASS_WITHOUT_BOXES,
            Kind.CLASS_WITHOUT_PICTURES,
            Kind.UNREAD_FORMAT,
        )


@dataclass(frozen=True)
class Finding:
    """One fault: its kind, the file and index where it is, what is there, and what cures it."""

    kind: Kind
    where: str
    what: str
    cure: str


def raise_first(findings: Sequence[Finding], source: str, show: int = 3) -> None:
    """Raise DataError naming the first `show` findings and the number of all; do nothing without findings."""
    if not findings:
        return
    lines = [f"{found.kind}: {found.where}: {found.what}; {found.cure}" for found in findings[:show]]
    more = len(findings) - len(lines)
    if more:
        lines.append(f"and {more} more: `tombola data check` lists them all")
    raise DataError(f"{source}: " + "\n  ".join(lines))
