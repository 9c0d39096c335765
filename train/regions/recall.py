"""How many objects some proposal covers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tombola.train.metrics.iou import box_iou
from tombola.train.metrics.matching import Truth


def proposal_recall(
    proposals: Sequence[NDArray[np.float32]], truths: Sequence[Truth], iou_threshold: float
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
