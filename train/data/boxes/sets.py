"""The sets of a detector's data, looked over together: each by itself, and what they share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tombola.train.data.boxes import formats
from tombola.train.data.boxes.annotations import Annotations
from tombola.train.data.boxes.check import look_over
from tombola.train.data.boxes.layouts import BoxSource
from tombola.train.data.boxes.summary import summarize
from tombola.train.data.finding import Finding
from tombola.train.data.fold import kept_ranks
from tombola.train.data.leaks import Look, find_leaks


@dataclass(frozen=True)
class Part:
    """A source as one set uses it: the pictures for which every fold holds, without those named."""

    split: str
    source: BoxSource
    folds: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def look_at_sets(
    parts: Iterable[Part], classes: Sequence[str] | None = None
) -> tuple[list[tuple[str, str]], list[Finding]]:
    """Return table rows (what, value) for each part, and every fault: of each source, and pictures that two
    sets share. The classes of the first part are those of all, unless `classes` gives them.

    DataError if a source cannot be read at all, or folds leave nothing.
    """
    rows: list[tuple[str, str]] = []
    findings: list[Finding] = []
    seen: dict[BoxSource, tuple[Annotations, dict[str, Look]]] = {}
    looks: dict[str, list[Look]] = {}
    for part in parts:
        source = part.source
        if source not in seen:
            entries = formats.read(
                source.annotations, source.pictures, classes, source.format_name, source.listed
            )
            faults, own = look_over(entries)
            seen[source] = entries, own
            findings += [replace(one, where=f"{part.split}: {one.where}") for one in faults]
        entries, own = seen[source]
        classes = classes or entries.classes
        kept = _kept(entries, part)
        rows += [(f"{part.split}: {source.annotations.name}", ""), *summarize(kept).rows()]
        names = (one.file_name for one in kept.pictures_annotated)
        looks.setdefault(part.split, []).extend(own[name] for name in names if name in own)
    return rows, findings + find_leaks(looks)


def _kept(entries: Annotations, part: Part) -> Annotations:
    pictures = sorted(entries.pictures_annotated, key=lambda one: one.file_name)
    if part.folds:
        pictures = [pictures[rank] for rank in kept_ranks(len(pictures), part.folds)]
    without = frozenset(part.without)
    return replace(entries, pictures_annotated=tuple(one for one in pictures if one.file_name not in without))
