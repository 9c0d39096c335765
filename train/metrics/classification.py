"""How good a classifier is: the share of labels it finds, and what it takes for what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError, TrainingError
from tombola.train.metrics.bootstrap import resampled_means
from tombola.train.metrics.counts import ClassCounts

MOST_PROBABLE = 5


@dataclass(frozen=True, eq=False)
class ClassificationScores:
    """What a classifier answered to labelled pictures.

    classes    names by label
    confusions int64 [classes, classes], pictures by what they are (row) and what they are taken for (column)
    top5       share of the pictures, 0..1, whose label is among the five most probable ones
    right      bool [pictures], whether the most probable label is the right one; of clips whose frames have
               labels the share of these, 0..1
    """

    classes: tuple[str, ...]
    confusions: NDArray[np.int64]
    top5: float
    right: NDArray[np.bool_] | NDArray[np.float64]

    @property
    def pictures(self) -> int:
        return len(self.right)

    @property
    def accuracy(self) -> float:
        """Share of the pictures whose label is the most probable one, 0..1 (top-1)."""
        return float(self.right.mean())

    @property
    def main(self) -> float:
        """The score that decides, 0..1: accuracy."""
        return self.accuracy

    def resampled(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Accuracy of each resample: counts int64 [r, pictures] -> [r]."""
        return resampled_means(self.right.astype(np.float64), counts)

    @property
    def mean_f1(self) -> float:
        """Mean F1 over the classes that occur, as labels or as answers (macro F1), 0..1."""
        return float(np.nanmean([counts.f1 for counts in self.by_class()]))

    def by_class(self) -> list[ClassCounts]:
        """Counts of each class, in the order of the labels."""
        right = np.diag(self.confusions)
        wrong = self.confusions.sum(axis=0) - right
        truths = self.confusions.sum(axis=1)
        rows = zip(self.classes, truths.tolist(), right.tolist(), wrong.tolist(), strict=True)
        return [ClassCounts(*row) for row in rows]

    def mistakes(self, most: int) -> list[tuple[str, str, int]]:
        """The most frequent mistakes: (what it is, what it is taken for, pictures), at most `most`."""
        wrong = self.confusions - np.diag(np.diag(self.confusions))
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        rows, columns = np.unravel_index(order, wrong.shape)
        return [
            (self.classes[row], self.classes[column], int(wrong[row, column]))
            for row, column in zip(rows, columns, strict=True)
            if wrong[row, column]
        ]


def score_classification(
    probabilities: NDArray[np.floating], labels: NDArray[np.int64], classes: Sequence[str]
) -> ClassificationScores:
    """Score probabilities [n, classes] against labels int64 [n]; of equal ones the first class is taken.

    DataError if the shapes do not fit or nothing is there; TrainingError if an answer is not finite.
    """
    if probabilities.shape != (len(labels), len(classes)) or not len(labels):
        raise DataError(
            f"answers of the shape {list(probabilities.shape)} do not fit {len(labels)} labelled pictures of "
            f"{len(classes)} classes; give one row a picture and one column a class"
        )
    if not np.isfinite(probabilities).all():
        first = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise TrainingError(
            f"the answer to picture {first} holds numbers that are not finite; use earlier weights of the run"
        )
    order = np.argsort(-probabilities, axis=1, kind="stable")
    among = (order[:, :MOST_PROBABLE] == labels[:, None]).any(axis=1)
    return ClassificationScores(
        classes=tuple(classes),
        confusions=count_confusions(labels, order[:, 0], len(classes)),
        top5=float(among.mean()),
        right=order[:, 0] == labels,
    )


def score_clips(
    probabilities: Sequence[NDArray[np.floating]], labels: Sequence[NDArray[np.int64]], classes: Sequence[str]
) -> ClassificationScores:
    """Score clips of which each has rows [rows, classes] and as many labels: one, or one for each frame.
    `right` is the share of each clip's frames, for those of one clip are no chance draws. Errors as above."""
    scores = score_classification(np.concatenate(probabilities), np.concatenate(labels), classes)
    ends = np.cumsum([len(own) for own in labels])[:-1]
    return replace(scores, right=np.array([part.mean() for part in np.split(scores.right, ends)]))


def count_confusions(
    labels: NDArray[np.int64], guesses: NDArray[np.int64], n_classes: int
) -> NDArray[np.int64]:
    """int64 [classes, classes]: pictures by what they are (row) and what they are taken for (column)."""
    cells = np.bincount(labels * n_classes + guesses, minlength=n_classes * n_classes)
    return cells.reshape(n_classes, n_classes).astype(np.int64)
