"""Average precision as COCO defines it: IoU 0.50 … 0.95, 101 recalls, small, medium and large boxes.

The rules are those of pycocotools' bounding-box evaluation, with two that follow from what a `Truth` is:

- The area of a truth is that of its box (COCO's files may give the area of a mask).
- A difficult truth is treated as a crowd (`iscrowd: 1`): it is not asked for; a detection that takes no
  other truth and has at least the threshold's share of its own area inside the difficult box does not
  count; any number of detections may do so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.train.metrics.iou import box_area, box_ioa, box_iou
from tombola.train.metrics.matching import Prediction, Truth, check_pairs

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREA_NAMES = ("all", "small", "medium", "large")
AREAS_PX2 = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])  # both ends included
MAX_DETECTIONS = 100  # a class and picture
FEWER_DETECTIONS = (1, 10)
A, T = len(AREAS_PX2), len(IOU_THRESHOLDS)


@dataclass(frozen=True)
class CocoScores:
    """The COCO result; NaN wherever there is no truth to find.

    precision    float64 [4 areas, 10 IoU thresholds, 101 recalls, classes], at most 100 detections
    recall       {most detections: float64 [4 areas, 10 IoU thresholds, classes]} for 1, 10 and 100
    """

    classes: tuple[str, ...]
    precision: NDArray[np.float64]
    recall: dict[int, NDArray[np.float64]]

    @property
    def mean_average_precision(self) -> float:
        """AP over IoU 0.50 … 0.95, all areas and classes: COCO's primary metric."""
        return _mean(self.precision[0])

    @property
    def average_precision(self) -> NDArray[np.float64]:
        """float64 [classes], AP of each class over IoU 0.50 … 0.95, all areas."""
        return np.array([_mean(self.precision[0, :, :, label]) for label in range(len(self.classes))])

    def summary(self) -> dict[str, float]:
        """Return the twelve figures of COCO's table by their names, AP … AR_large."""
        figures = {
            "AP": self.mean_average_precision,
            "AP50": _mean(self.precision[0, 0]),
            "AP75": _mean(self.precision[0, 5]),
        }
        figures |= {f"AP_{AREA_NAMES[area]}": _mean(self.precision[area]) for area in range(1, A)}
        figures |= {f"AR{count}": _mean(recall[0]) for count, recall in self.recall.items()}
        most = self.recall[MAX_DETECTIONS]
        return figures | {f"AR_{AREA_NAMES[area]}": _mean(most[area]) for area in range(1, A)}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


@dataclass(frozen=True)
class _Matched:
    """The detections of a picture that may count, best first, at most 100 a class.

    scores [d], labels [d], rank [d] (place in its class, from 0); right and counts bool [A, T, d]
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    rank: NDArray[np.int64]
    right: NDArray[np.bool_]
    counts: NDArray[np.bool_]


def coco_map(
    predictions: Sequence[Prediction], truths: Sequence[Truth], classes: Sequence[str]
) -> CocoScores:
    """Score predictions[i] against truths[i] by COCO's rule; boxes of a pair are in the same pixels.

    DataError if the pairs do not fit or a label is not a class.
    """
    check_pairs(predictions, truths, len(classes))
    pictures = [_match_picture(one, truth) for one, truth in zip(predictions, truths, strict=True)]
    asked = np.zeros((A, len(classes)), np.int64)
    for truth in truths:
        counted = ~_ignored(truth)
        for area in range(A):
            labels = np.asarray(truth.labels, np.int64)[counted[area]]
            asked[area] += np.bincount(labels, minlength=len(classes))
    precision = np.full((A, T, len(RECALLS), len(classes)), np.nan)
    recall = {count: np.full((A, T, len(classes)), np.nan) for count in (*FEWER_DETECTIONS, MAX_DETECTIONS)}
    joined = _join(pictures)
    for label in range(len(classes)):
        mine = _of_class(joined, label)
        for area in np.flatnonzero(asked[:, label]).tolist():
            precision[area, :, :, label] = _precision_at_recalls(mine, area, int(asked[area, label]))
            for count, values in recall.items():
                found = mine.right[area][:, mine.rank < count].sum(axis=1)
                values[area, :, label] = found / asked[area, label]
    return CocoScores(tuple(classes), precision, recall)


def _ignored(truth: Truth) -> NDArray[np.bool_]:
    """Return bool [A, t]: truths that are not asked for in each range of areas."""
    area_px2 = box_area(truth.boxes_xyxy)
    outside = (area_px2 < AREAS_PX2[:, :1]) | (area_px2 > AREAS_PX2[:, 1:])
    return outside | np.asarray(truth.difficult, np.bool_)


def _match_picture(prediction: Prediction, truth: Truth) -> _Matched:
    order = np.argsort(-np.asarray(prediction.scores, np.float64), kind="stable")
    rank = _rank_in_class(np.asarray(prediction.labels, np.int64)[order])
    order, rank = order[rank < MAX_DETECTIONS], rank[rank < MAX_DETECTIONS]
    boxes_xyxy = prediction.boxes_xyxy[order]
    labels = np.asarray(prediction.labels, np.int64)[order]
    if len(order) and len(truth.boxes_xyxy):
        crowd = np.asarray(truth.difficult, np.bool_)
        overlap = np.where(
            crowd, box_ioa(boxes_xyxy, truth.boxes_xyxy), box_iou(boxes_xyxy, truth.boxes_xyxy)
        )
        overlap[labels[:, None] != np.asarray(truth.labels)] = -1
        taken, free = _assign(overlap, _ignored(truth), crowd)
    else:
        taken, free = np.zeros((A, T, len(order)), np.bool_), np.ones((A, T, len(order)), np.bool_)
    area_px2 = box_area(boxes_xyxy)
    inside = (area_px2 >= AREAS_PX2[:, :1]) & (area_px2 <= AREAS_PX2[:, 1:])  # [A, d]
    scores = np.asarray(prediction.scores, np.float64)[order]
    return _Matched(scores, labels, rank, right=taken, counts=taken | (free & inside[:, None]))


def _rank_in_class(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each element's place, from 0, among those with its label."""
    by_label = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[by_label], return_index=True, return_counts=True)
    rank = np.empty(len(labels), np.int64)
    rank[by_label] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return rank


def _assign(
    overlap: NDArray[np.float64], ignored: NDArray[np.bool_], crowd: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Give each detection, best first, the truth it overlaps most among those still free.

    overlap [d, t], ignored [A, t], crowd [t]. Truths that are asked for go before ignored ones; of equal
    overlaps the later truth is taken, as pycocotools does. Returns bool [A, T, d] twice: took a truth that
    is asked for; took none at all.
    """
    detections, truths = overlap.shape
    # Places instead of overlaps make "asked for first, then the larger, then the later" one whole number.
    place = overlap.argsort(axis=1, kind="stable").argsort(axis=1) + 1  # [d, t]
    value = place[:, None] + np.where(ignored, 0, truths)  # [d, A, t]
    enough = overlap[:, None] >= np.minimum(IOU_THRESHOLDS, 1 - 1e-10)[:, None]  # [d, T, t]
    open_truths = np.ones((A, T, truths), np.bool_)
    took_asked = np.zeros((A, T, detections), np.bool_)
    took_none = np.ones((A, T, detections), np.bool_)
    areas, thresholds = np.indices((A, T))
    for row in np.flatnonzero(enough.any(axis=(1, 2))):
        offers = value[row][:, None] * (open_truths & enough[row])  # [A, T, t]
        best = offers.argmax(axis=2)
        took = offers[areas, thresholds, best] > 0
        took_none[:, :, row] = ~took
        took_asked[:, :, row] = took & ~ignored[areas, best]
        open_truths[areas, thresholds, best] &= ~took | crowd[best]
    return took_asked, took_none


def _join(pictures: Sequence[_Matched]) -> _Matched:
    """Return the detections of all pictures in one, best first; equal scores keep the pictures' order."""
    nothing = np.zeros((A, T, 0), np.bool_)
    scores = np.concatenate([np.zeros(0), *(one.scores for one in pictures)])
    labels = np.concatenate([np.zeros(0, np.int64), *(one.labels for one in pictures)])
    rank = np.concatenate([np.zeros(0, np.int64), *(one.rank for one in pictures)])
    right = np.concatenate([nothing, *(one.right for one in pictures)], axis=2)
    counts = np.concatenate([nothing, *(one.counts for one in pictures)], axis=2)
    order = np.argsort(-scores, kind="stable")
    return _Matched(scores[order], labels[order], rank[order], right[:, :, order], counts[:, :, order])


def _of_class(joined: _Matched, label: int) -> _Matched:
    mine = np.flatnonzero(joined.labels == label)
    return _Matched(
        joined.scores[mine],
        joined.labels[mine],
        joined.rank[mine],
        joined.right[:, :, mine],
        joined.counts[:, :, mine],
    )


def _precision_at_recalls(mine: _Matched, area: int, asked: int) -> NDArray[np.float64]:
    """Return [T, 101], the best precision at each recall or more; 0 at recalls that are not reached."""
    found = np.cumsum(mine.right[area], axis=1)
    wrong = np.cumsum(mine.counts[area] & ~mine.right[area], axis=1)
    precision = found / np.maximum(found + wrong, 1)
    best_from = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result = np.zeros((T, len(RECALLS)))
    for row in range(T):
        at = np.searchsorted(found[row] / asked, RECALLS, side="left")
        reached = at < found.shape[1]
        result[row, reached] = best_from[row, at[reached]]
    return result
