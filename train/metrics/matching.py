"""Which detections are right: predictions and truths of a picture, and their matching as VOC does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.metrics.iou import box_iou


@dataclass(frozen=True)
class Prediction:
    """What a detector said about one picture: boxes_xyxy [n, 4] in pixels, scores [n], labels [n]."""

    boxes_xyxy: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[Any]

    def __post_init__(self) -> None:
        _check_shapes("prediction", self.boxes_xyxy, scores=self.scores, labels=self.labels)
        if not (np.isfinite(self.boxes_xyxy).all() and np.isfinite(self.scores).all()):
            raise DataError("a prediction has a box or score that is not finite: the network has diverged")


@dataclass(frozen=True)
class Truth:
    """What is in one picture: boxes_xyxy [n, 4] in the same pixels, labels [n], difficult [n] bool."""

    boxes_xyxy: NDArray[Any]
    labels: NDArray[Any]
    difficult: NDArray[Any]

    def __post_init__(self) -> None:
        _check_shapes("truth", self.boxes_xyxy, labels=self.labels, difficult=self.difficult)


def _check_shapes(what: str, boxes_xyxy: NDArray[Any], **columns: NDArray[Any]) -> None:
    if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4:
        raise DataError(f"boxes of a {what} must have shape [n, 4], got {list(boxes_xyxy.shape)}")
    for name, column in columns.items():
        if column.shape != (len(boxes_xyxy),):
            raise DataError(
                f"{name} of a {what} must have shape [{len(boxes_xyxy)}], got {list(column.shape)}"
            )


@dataclass(frozen=True)
class Matches:
    """Every detection that counts, over all pictures, best first; and how many truths there are to find.

    scores    float64 [d], falling; equal scores stay in the order of pictures and of detections
    labels    int64 [d]
    right     bool [d]: matched a truth that no better detection had taken
    pictures  int64 [d]: the number of its picture
    truths    int64 [pictures, classes]: truths that are not difficult
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    right: NDArray[np.bool_]
    pictures: NDArray[np.int64]
    truths: NDArray[np.int64]


def match_voc(
    predictions: Sequence[Prediction], truths: Sequence[Truth], class_count: int, iou_threshold: float
) -> Matches:
    """Match as the PASCAL VOC development kit does.

    A detection belongs to the truth of its class and picture with the highest IoU, if that is at least
    `iou_threshold`. If that truth is difficult the detection does not count at all; if a better detection
    took it, this one is wrong. Class labels outside 0 … class_count - 1 are a DataError.
    """
    check_pairs(predictions, truths, class_count)
    kept = [_match_picture(one, truth, iou_threshold) for one, truth in zip(predictions, truths, strict=True)]
    scores = np.concatenate([scores for scores, _, _ in kept]) if kept else np.zeros(0)
    labels = np.concatenate([labels for _, labels, _ in kept]) if kept else np.zeros(0, np.int64)
    right = np.concatenate([right for _, _, right in kept]) if kept else np.zeros(0, np.bool_)
    pictures = np.repeat(np.arange(len(kept)), [len(scores) for scores, _, _ in kept])
    order = np.argsort(-scores, kind="stable")
    counts = np.zeros((len(truths), class_count), np.int64)
    for count, truth in zip(counts, truths, strict=True):
        asked = np.asarray(truth.labels, np.int64)[~np.asarray(truth.difficult, np.bool_)]
        count += np.bincount(asked, minlength=class_count)
    return Matches(scores[order], labels[order], right[order], pictures[order], counts)


def _match_picture(
    prediction: Prediction, truth: Truth, iou_threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return scores, labels and right of the detections that count, best first."""
    order = np.argsort(-np.asarray(prediction.scores, np.float64), kind="stable")
    scores = np.asarray(prediction.scores, np.float64)[order]
    labels = np.asarray(prediction.labels, np.int64)[order]
    if len(truth.boxes_xyxy) == 0 or len(order) == 0:
        return scores, labels, np.zeros(len(order), np.bool_)
    ious = box_iou(prediction.boxes_xyxy[order], truth.boxes_xyxy)  # [d, t]
    ious[labels[:, None] != np.asarray(truth.labels)[None]] = -1
    best = ious.argmax(axis=1)
    hits = ious[np.arange(len(order)), best] >= iou_threshold
    hit_rows = np.flatnonzero(hits)
    _, first = np.unique(best[hit_rows], return_index=True)
    right = np.zeros(len(order), np.bool_)
    right[hit_rows[first]] = True
    counts = ~(hits & np.asarray(truth.difficult, np.bool_)[best])
    return scores[counts], labels[counts], right[counts]


def check_pairs(predictions: Sequence[Prediction], truths: Sequence[Truth], class_count: int) -> None:
    """DataError unless there is one prediction per truth and every label is a class."""
    if len(predictions) != len(truths):
        raise DataError(f"{len(predictions)} predictions for {len(truths)} pictures: give one for each")
    for number, pair in enumerate(zip(predictions, truths, strict=True)):
        for labels in (pair[0].labels, pair[1].labels):
            if len(labels) and not (labels.min() >= 0 and labels.max() < class_count):
                raise DataError(
                    f"picture {number} has a label outside of 0 … {class_count - 1}: "
                    f"{int(labels.min())} … {int(labels.max())}; use the same classes for both"
                )
