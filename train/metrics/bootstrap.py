"""How far a score would move with other pictures: the bootstrap (Efron & Tibshirani 1993, chapter 13)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.train.metrics.matching import Matches, Prediction, Truth, match_voc

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A percentile interval: the middle 95 % of the resampled scores, and their standard deviation."""

    low: float
    high: float
    deviation: float


def picture_counts(pictures: int, resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.int64]:
    """int64 [resamples, pictures]: how often each picture is drawn; every row sums to `pictures`.

    Two scores that use the same rows are paired: their difference is of the same pictures each time.
    """
    rng = np.random.default_rng(seed)
    return np.asarray(rng.multinomial(pictures, np.full(pictures, 1 / pictures), size=resamples), np.int64)


def interval(resampled: NDArray[np.float64]) -> Interval:
    """The interval of resampled scores [r]; NaN ones (no truth was drawn) are left out."""
    known = resampled[~np.isnan(resampled)]
    if len(known) == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), float(known.std()))


def resampled_means(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of one value a picture [p] in each resample [r, p] -> [r]."""
    return np.asarray(counts @ values / counts.sum(axis=1), np.float64)


def resampled_voc07(
    predictions: Sequence[Prediction],
    truths: Sequence[Truth],
    class_count: int,
    counts: NDArray[np.int64],
    iou_threshold: float = 0.5,
) -> NDArray[np.float64]:
    """VOC07 mAP of each resample: counts int64 [r, pictures] -> float64 [r]; NaN where no truth was drawn.

    A picture that is drawn twice counts as two pictures with equal detections.
    """
    matches = match_voc(predictions, truths, class_count, iou_threshold)
    each = np.stack([_resampled_class(matches, label, counts) for label in range(class_count)])
    known = ~np.isnan(each)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, each, 0).sum(axis=0) / known.sum(axis=0), np.float64)


def _resampled_class(matches: Matches, label: int, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """AP of one class in each resample, [r]."""
    mine = matches.labels == label
    pictures, right = matches.pictures[mine], matches.right[mine]
    asked = counts @ matches.truths[:, label]
    result = np.full(len(counts), np.nan)
    for row, drawn in enumerate(counts):
        if asked[row] == 0:
            continue
        weight = drawn[pictures]
        found = np.cumsum(weight * right)
        precision = found / np.maximum(np.cumsum(weight), 1)
        # The best precision from here on: recall only grows along the list.
        ahead = np.maximum.accumulate(precision[::-1])[::-1]
        first = np.searchsorted(found * 10, np.arange(11) * asked[row])
        result[row] = np.append(ahead, 0.0)[first].mean()
    return result
