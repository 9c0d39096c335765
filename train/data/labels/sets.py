"""The sets of a classifier's data, looked over together: each by itself, and what they share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tombola.train.data.finding import Finding
from tombola.train.data.fold import kept_ranks
from tombola.train.data.labels import classify_formats
from tombola.train.data.labels.labelled_check import look_over
from tombola.train.data.leaks import Look, find_leaks


@dataclass(frozen=True)
class Part:
    """A source as one set uses it: the pictures for which every fold holds."""

    split: str
    format_name: str
    pictures: Path
    labels: Path | None = None
    folds: tuple[str, ...] = ()


def look_at_sets(
    parts: Iterable[Part], classes: Sequence[str] | None = None
) -> tuple[list[tuple[str, str]], list[Finding]]:
    """Return table rows (what, value) for each source, and every fault: of each source, and pictures that two
    sets share. The classes of the first part are those of all, unless `classes` gives them.

    DataError if a source cannot be read at all, or folds leave nothing.
    """
    rows: list[tuple[str, str]] = []
    findings: list[Finding] = []
    seen: dict[tuple[Path, Path | None], list[Look | None]] = {}
    looks: dict[str, list[Look]] = {}
    for part in parts:
        source = part.pictures, part.labels
        if source not in seen:
            labelled = classify_formats.read(part.pictures, part.labels, classes, part.format_name)
            summary, faults, own = look_over(labelled)
            classes = classes or labelled.classes
            seen[source] = own
            findings += [replace(one, where=f"{part.split}: {one.where}") for one in faults]
            rows += [(f"{part.split}: {part.pictures.name}", ""), *summary.rows()]
        own = seen[source]
        kept = kept_ranks(len(own), part.folds) if part.folds else range(len(own))
        looks.setdefault(part.split, []).extend(one for rank in kept if (one := own[rank]) is not None)
    return rows, findings + find_leaks(looks)
