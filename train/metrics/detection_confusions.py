"""What a detector takes for what: its confusion matrix, with a row and a column for nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tombola.train.metrics.iou import box_iou
from tombola.train.metrics.matching import Prediction, Truth, check_pairs

NOTHING = "(nothing)"


def count_detection_confusions(
    predictions: Sequence[Prediction],
    truths: Sequence[Truth],
    class_count: int,
    score_threshold: float,
    iou_threshold: float = 0.5,
) -> NDArray[np.int64]:
    """int64 [classes + 1, classes + 1]: objects by what they are (row) and what they are taken for (column),
    among the detections with score >= `score_threshold`.

    The last row is nothing: detections that no object is left for. The last column is nothing: objects that
    are missed. Whatever their classes, a detection and an object belong together if their IoU is at least
    `iou_threshold`, each with one other at most: the pairs of the same class first, then those of the highest
    IoU. Difficult objects are not counted, nor are detections on them. DataError if the pairs do not fit.
    """
    check_pairs(predictions, truths, class_count)
    matrix = np.zeros((class_count + 1, class_count + 1), np.int64)
    for prediction, truth in zip(predictions, truths, strict=True):
        shown = prediction.scores >= score_threshold
        is_, said = np.asarray(truth.labels, np.int64), np.asarray(prediction.labels[shown], np.int64)
        ious = box_iou(prediction.boxes_xyxy[shown], truth.boxes_xyxy)
        taken = _pairs(ious, said[:, None] == is_[None], iou_threshold)  # [objects], -1 for none
        difficult = np.asarray(truth.difficult, np.bool_)
        found = np.where(taken >= 0, np.append(said, class_count)[taken], class_count)
        np.add.at(matrix, (is_[~difficult], found[~difficult]), 1)
        alone = np.ones(len(said), np.bool_)
        alone[taken[taken >= 0]] = False
        alone &= ~(ious[:, difficult] >= iou_threshold).any(axis=1)
        np.add.at(matrix, (np.full(alone.sum(), class_count), said[alone]), 1)
    return matrix


def _pairs(ious: NDArray[np.floating], same: NDArray[np.bool_], iou_threshold: float) -> NDArray[np.int64]:
    """For each object the number of its detection, -1 for none: ious and same [detections, objects]."""
    taken = np.full(ious.shape[1], -1, np.int64)
    free = np.ones(ious.shape[0], np.bool_)
    rows, columns = np.nonzero(ious >= iou_threshold)
    for place in np.lexsort((-ious[rows, columns], ~same[rows, columns])):
        detection, truth = rows[place], columns[place]
        if free[detection] and taken[truth] < 0:
            taken[truth], free[detection] = detection, False
    return taken
