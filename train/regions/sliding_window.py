"""The sliding window: boxes of a few sizes everywhere; the floor that proposals are measured against."""

import numpy as np
from numpy.typing import NDArray

SIDES = (0.2, 0.4, 0.7, 1.0)  # of the picture's shorter side
RATIOS = (0.5, 1.0, 2.0)  # height / width
STEP = 1 / 3  # of the window's own sides


def count_windows(length_px: int, window_px: int) -> int:
    """How many windows of that length fit, one pixel apart: N - w + 1, or none."""
    return max(0, length_px - window_px + 1)


def sliding_windows(height: int, width: int) -> NDArray[np.float32]:
    """Windows of all sizes and shapes, a third of their sides apart: float32 [n, 4], x1 y1 x2 y2."""
    boxes = []
    for side in SIDES:
        for ratio in RATIOS:
            window_h = min(height, max(1, round(side * min(height, width) * ratio**0.5)))
            window_w = min(width, max(1, round(side * min(height, width) / ratio**0.5)))
            y = _starts(height, window_h)
            x = _starts(width, window_w)
            corner = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
            boxes.append(np.concatenate([corner, corner + np.array([window_w, window_h])], axis=1))
    return np.unique(np.concatenate(boxes).astype(np.float32), axis=0)


def _starts(length_px: int, window_px: int) -> NDArray[np.int64]:
    places = 1 + int(np.ceil((length_px - window_px) / max(1, STEP * window_px)))
    return np.linspace(0, length_px - window_px, places).round().astype(np.int64)
