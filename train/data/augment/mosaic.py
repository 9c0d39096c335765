"""Four labelled pictures joined into one, so that a small set shows objects in more company and sizes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.data.augment.window import Sample, Window, crop, keeps_one, needed_boxes, resize

CENTRE = (0.3, 0.7)  # where the four meet, as a share of the side
CUT = (0.6, 1.0)  # size of the cut of each picture, as a share of the largest that fits
CUT_TRIES = 10


def mosaic(samples: Sequence[Sample], *, rng: np.random.Generator) -> Sample:
    """Join exactly four samples into a square picture as wide as the longest side of the first.

    Each fills one quarter with a random cut of the quarter's aspect ratio, without borders. Boxes are cut
    as in `augment`. DataError unless there are four.
    """
    if len(samples) != 4:
        raise DataError(f"a mosaic takes 4 pictures, got {len(samples)}")
    side = max(samples[0][0].shape[:2])
    x, y = (min(max(round(side * share), 1), max(side - 1, 1)) for share in rng.uniform(*CENTRE, 2))
    canvas_rgb_u8 = np.zeros((side, side, 3), np.uint8)
    quarters: list[Window] = [(0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side)]
    parts = []
    for sample, (x1, y1, x2, y2) in zip(samples, quarters, strict=True):
        if x2 > x1 and y2 > y1:
            window = _choose_cut(sample, (y2 - y1) / (x2 - x1), rng)
            image_rgb_u8, boxes_xyxy, labels, difficult = resize(crop(sample, window), y2 - y1, x2 - x1)
            canvas_rgb_u8[y1:y2, x1:x2] = image_rgb_u8
            parts.append((boxes_xyxy + np.array([x1, y1, x1, y1], np.float32), labels, difficult))
    boxes, labels_of_parts, difficult_of_parts = zip(*parts, strict=True)
    return (
        canvas_rgb_u8,
        np.concatenate(boxes),
        np.concatenate(labels_of_parts),
        np.concatenate(difficult_of_parts),
    )


def _choose_cut(sample: Sample, height_by_width: float, rng: np.random.Generator) -> Window:
    """Return a window of that aspect ratio inside the picture that shows one of its boxes if it can."""
    height, width = sample[0].shape[:2]
    needed: NDArray[np.float32] = needed_boxes(sample[1], sample[3])
    full_w = min(width, height / height_by_width)
    for _ in range(CUT_TRIES):
        cut_w = full_w * rng.uniform(*CUT)
        window_w = min(max(1, round(cut_w)), width)
        window_h = min(max(1, round(cut_w * height_by_width)), height)
        x1 = int(rng.integers(0, width - window_w + 1))
        y1 = int(rng.integers(0, height - window_h + 1))
        window = (x1, y1, x1 + window_w, y1 + window_h)
        if keeps_one(needed, window):
            break
    return window
