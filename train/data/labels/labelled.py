"""Pictures with labels as they were written, faults and all: what every classification format reads into.

`look_at` reports on this form; `to_classification_set` refuses its faults and gives the form that
training uses.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.data.finding import Finding, Kind, raise_first
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.data.labels.steps import Steps
from tombola.train.data.pictures.pixels import Pixels
from tombola.train.data.text import listed, quoted

MOST_CLASSES = 100_000  # a damaged label must not ask for all memory


@dataclass(frozen=True)
class LabelledPictures:
    """All that a format's reader understood, and what it could not (`findings`).

    labels are int64 [n] as written, so any number; the other fields are as in ClassificationSet.
    """

    source: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    pixels: Pixels
    findings: tuple[Finding, ...]
    steps: tuple[Steps, ...] | None = None


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes as a tuple. DataError if one is named twice."""
    name, count = Counter(classes).most_common(1)[0] if classes else ("", 0)
    if count > 1:
        raise DataError(f"class {quoted(name)} is named twice in `classes`; name each once")
    return tuple(classes)


def named_labels(
    labels: NDArray[np.int64], written: Sequence[str] | None, asked: Sequence[str] | None, source: str
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the classes of numbered labels, and the labels as numbers of these classes.

    written   names that the data set carries for 0, 1, …; None if it carries none
    asked     the classes in the order that is wanted; where the data set has no names, they are its names

    Without either the classes are "0", "1", … up to the largest label. A label of a class that is not asked
    for becomes -1. DataError if an asked class is not one of the written, or a label without a name is
    beyond MOST_CLASSES.
    """
    if asked is None:
        count = int(labels.max(initial=-1)) + 1
        if written is None and count > MOST_CLASSES:
            raise DataError(
                f"{source} has the label {count - 1}, but {MOST_CLASSES} classes are the most; correct the "
                "label, or name the classes"
            )
        return tuple(written) if written is not None else tuple(map(str, range(count))), labels
    classes = check_classes(asked)
    if written is None:
        return classes, labels
    known = frozenset(written)
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise DataError(f"{source} has no class {quoted(unknown[0])}; its classes are {listed(written)}")
    places = {name: place for place, name in enumerate(classes)}
    table = np.array([places.get(name, -1) for name in written], np.int64)
    inside = (labels >= 0) & (labels < len(table))
    return classes, np.where(inside, table[np.where(inside, labels, 0)], labels)


def label_faults(labelled: LabelledPictures) -> list[Finding]:
    """Return a finding per label that is the number of no class."""
    count = len(labelled.classes)
    wrong = np.flatnonzero((labelled.labels < 0) | (labelled.labels >= count))
    return [
        Finding(
            Kind.UNKNOWN_CLASS,
            labelled.names[index],
            "its class is not one of those asked for"
            if labelled.labels[index] < 0
            else f"label {labelled.labels[index]}, but there are {count} classes, 0 … {count - 1}",
            "name all classes in `classes`, or correct the label",
        )
        for index in wrong
    ]


def no_pictures(labelled: LabelledPictures) -> list[Finding]:
    """Return the finding of a set without a picture."""
    if len(labelled.labels):
        return []
    cure = "check that this is the right path and format"
    return [Finding(Kind.NO_PICTURES, labelled.source, "it holds not one labelled picture", cure)]


def to_classification_set(labelled: LabelledPictures) -> ClassificationSet:
    """Return the set that training uses. DataError names the first faults."""
    faults = [*labelled.findings, *label_faults(labelled), *no_pictures(labelled)]
    raise_first([one for one in faults if one.kind.stops_training], labelled.source)
    return ClassificationSet(
        classes=labelled.classes,
        labels=labelled.labels,
        names=labelled.names,
        pixels=labelled.pixels,
        places=np.arange(len(labelled.labels)),
        steps=labelled.steps,
    )
