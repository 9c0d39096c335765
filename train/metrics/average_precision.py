"""Average precision as PASCAL VOC 2007 defines it: the mean of precision at eleven recalls."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.train.metrics.matching import Matches, Prediction, Truth, match_voc


@dataclass(frozen=True)
class ClassCurve:
    """Precision against recall of one class; point i keeps the i + 1 best detections.

    scores, precision, recall    float64 [d], scores falling; recall is 0 everywhere without truths
    truths                       how many there are to find
    """

    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    truths: int


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
    curves = tuple(_curve(matches, label) for label in range(len(classes)))
    return DetectionScores(
        classes=tuple(classes),
        average_precision=np.array([eleven_point(curve) for curve in curves], np.float64),
        curves=curves,
        iou_threshold=iou_threshold,
    )


def _curve(matches: Matches, label: int) -> ClassCurve:
    mine = matches.labels == label
    found = np.cumsum(matches.right[mine])
    truths = int(matches.truths[label])
    return ClassCurve(
        scores=matches.scores[mine],
        precision=found / np.arange(1, len(found) + 1),
        recall=found / max(truths, 1),
        truths=truths,
    )


def eleven_point(curve: ClassCurve) -> float:
    """Return the mean over recalls 0, 0.1 … 1 of the best precision from there on; NaN without truths."""
    if curve.truths == 0:
        return float("nan")
    found = np.round(curve.recall * curve.truths).astype(np.int64)
    # In whole numbers: 3 of 10 found is a recall of 0.3, which floats may place on either side of 3 × 0.1.
    best = [curve.precision[found * 10 >= tenth * curve.truths].max(initial=0.0) for tenth in range(11)]
    return float(np.mean(best))
