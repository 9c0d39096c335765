"""Overlap of boxes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def box_area(boxes_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Return [n] areas of boxes [n, 4], 0 where x2 < x1 or y2 < y1."""
    sides = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    return np.asarray(np.prod(np.maximum(sides[:, 2:] - sides[:, :2], 0), axis=1), np.float64)


def box_iou(boxes_a_xyxy: NDArray[Any], boxes_b_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Return intersection over union [n, m] in 0 … 1 of boxes [n, 4] and [m, 4].

    Coordinates are continuous (a box from 0 to 10 is 10 wide). Two boxes without area have IoU 0.
    """
    inter, area_a, area_b = _overlap(boxes_a_xyxy, boxes_b_xyxy)
    union = area_a[:, None] + area_b[None] - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def box_ioa(boxes_a_xyxy: NDArray[Any], boxes_b_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Return intersection over the area of a, [n, m] in 0 … 1: how much of each a lies inside each b."""
    inter, area_a, _ = _overlap(boxes_a_xyxy, boxes_b_xyxy)
    return np.divide(inter, area_a[:, None], out=np.zeros_like(inter), where=area_a[:, None] > 0)


def _overlap(
    boxes_a_xyxy: NDArray[Any], boxes_b_xyxy: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    a = np.asarray(boxes_a_xyxy, np.float64).reshape(-1, 4)
    b = np.asarray(boxes_b_xyxy, np.float64).reshape(-1, 4)
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])  # [n, m]
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    inter = np.maximum(width, 0) * np.maximum(height, 0)
    return inter, box_area(a), box_area(b)
