"""Average precision as PASCAL VOC 2007 defines it: the mean of precision at eleven recalls."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.train.metrics.matching import Prediction, Truth, match_voc


@dataclass(frozen=True)
class ClassCurve:
    """The detections of one class that count, best first; point i keeps the i + 1 best.

    scores    float64 [d], falling
    right     bool [d], whether the detection found a truth
    truths    how many there are to find
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    truths: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """float64 [d], share of the i + 1 best that are right."""
        return np.asarray(np.cumsum(self.right) / np.arange(1, len(self.right) + 1), np.float64)

    @property
    def recall(self) -> NDArray[np.float64]:
        """float64 [d], share of the truths that the i + 1 best find; 0 without truths."""
        return np.asarray(np.cumsum(self.right) / max(self.truths, 1), np.float64)


@dataclass(frozen=True)
class DetectionScores:
    """The VOC result: AP per class (NaN for a class without truths), and the curves behind it."""

    classes: tuple[str, ...]
    average_precision: NDArray[np.float64]
    curves: tuple[ClassCurve, ...]
    iou_threshold: float

    @property
    def mean_average_precision(self) -> float:
        """The mean over classes that have truths, 0 … 1; NaN if none has."""
        known = self.average_precision[~np.isnan(self.average_precision)]
        return float(known.mean()) if len(known) else float("nan")


def voc07_map(
    predictions: Sequence[Prediction],
    truths: Sequence[Truth],
    classes: Sequence[str],
    iou_threshold: float = 0.5,
) -> DetectionScores:
    """Score predictions[i] against truths[i] by VOC 2007's rule, 11 points, difficult truths ignored.

    Boxes of a pair are in the same pixels, continuous coordinates. DataError if the pairs do not fit.
    """
    matches = match_voc(predictions, truths, len(classes), iou_threshold)
    mine = [matches.labels == label for label in range(len(classes))]
    curves = tuple(
        ClassCurve(matches.scores[chosen], matches.right[chosen], int(count))
        for chosen, count in zip(mine, matches.truths.sum(axis=0), strict=True)
    )
    return DetectionScores(
        classes=tuple(classes),
        average_precision=np.array([eleven_point(curve) for curve in curves], np.float64),
        curves=curves,
        iou_threshold=iou_threshold,
    )


def eleven_point(curve: ClassCurve) -> float:
    """Return the mean over recalls 0, 0.1 … 1 of the best precision from there on; NaN without truths."""
    if curve.truths == 0:
        return float("nan")
    found, precision = np.cumsum(curve.right), curve.precision
    # In whole numbers: 3 of 10 found is a recall of 0.3, which floats may place on either side of 3 × 0.1.
    best = [precision[found * 10 >= tenth * curve.truths].max(initial=0.0) for tenth in range(11)]
    return float(np.mean(best))
