"""How many objects some proposal covers."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.metrics.iou import box_iou
from tombola.train.metrics.matching import Truth
from tombola.train.regions.sliding_window import sliding_windows


def proposal_recall(
    proposals: Iterable[NDArray[np.float32]], truths: Sequence[Truth], iou_threshold: float
) -> float:
    """Share of the objects, difficult ones apart, that some proposal [n, 4] of their picture covers with at
    least that IoU; NaN without objects."""
    covered = asked = 0
    for boxes_xyxy, truth in zip(proposals, truths, strict=True):
        wanted = truth.boxes_xyxy[~np.asarray(truth.difficult, np.bool_)]
        asked += len(wanted)
        if len(wanted) and len(boxes_xyxy):
            covered += int((box_iou(boxes_xyxy, wanted).max(axis=0) >= iou_threshold).sum())
    return covered / asked if asked else float("nan")


def window_recall(data: DetectionSet, iou_thresholds: Sequence[float]) -> tuple[list[float], float]:
    """The recall of the sliding window on the pictures of `data` at each IoU, and its boxes a picture."""
    sizes_hw = [one.size_hw or data.read(index).shape[:2] for index, one in enumerate(data.records)]
    truths = [Truth(one.boxes_xyxy, one.labels, one.difficult) for one in data.records]
    counts = [len(sliding_windows(*size_hw)) for size_hw in sizes_hw]
    recalls = [
        proposal_recall((sliding_windows(*size_hw) for size_hw in sizes_hw), truths, iou)
        for iou in iou_thresholds
    ]
    return recalls, sum(counts) / len(counts)
