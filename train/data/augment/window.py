"""A labelled picture and the ways to cut, pad, resize and mirror it together with its boxes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.runtime.pictures.shrink import Shrink, halve

# image_rgb_u8 [h, w, 3], boxes_xyxy float32 [n, 4] in its pixels, labels int64 [n], difficult bool [n]
Sample = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]
# x1 y1 x2 y2 in whole pixels of the picture; it may reach past the picture on any side
Window = tuple[int, int, int, int]

MIN_VISIBLE_SHARE = 0.3
BORDER_RGB = (124, 116, 104)  # ImageNet's mean colour


def needed_boxes(boxes_xyxy: NDArray[np.float32], difficult: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the boxes of which one must stay visible: those not difficult, or all if all are."""
    return boxes_xyxy[~difficult] if (~difficult).any() else boxes_xyxy


def visible_share(boxes_xyxy: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """Return [n], the share 0 … 1 of each box's area that lies in the window."""
    limits = np.array(window, np.float32)
    low = np.maximum(boxes_xyxy[:, :2], limits[:2])
    high = np.minimum(boxes_xyxy[:, 2:], limits[2:])
    inside = np.prod(np.maximum(high - low, 0), axis=1)
    return np.asarray(inside / np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1), np.float32)


def keeps_one(boxes_xyxy: NDArray[np.float32], window: Window) -> bool:
    """Return whether some box stays visible enough in the window, or there is none to keep."""
    return len(boxes_xyxy) == 0 or bool((visible_share(boxes_xyxy, window) >= MIN_VISIBLE_SHARE).any())


def overlaps(boxes_xyxy: NDArray[np.float32], window: Window, min_iou: float) -> bool:
    """Return whether the window has IoU >= `min_iou` with some box and keeps one, or there is none."""
    if len(boxes_xyxy) == 0:
        return True
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    shares = visible_share(boxes_xyxy, window)
    inside = shares * areas
    ious = inside / (areas + (window[2] - window[0]) * (window[3] - window[1]) - inside)
    return bool((ious >= min_iou).any() and (shares >= MIN_VISIBLE_SHARE).any())


def crop(sample: Sample, window: Window) -> Sample:
    """Cut a window that lies inside of the picture; boxes visible by less than MIN_VISIBLE_SHARE are dropped.

    The picture that is returned shares its memory with the one given.
    """
    image_rgb_u8, boxes_xyxy, labels, difficult = sample
    x1, y1, x2, y2 = window
    kept = visible_share(boxes_xyxy, window) >= MIN_VISIBLE_SHARE
    shift = np.array([x1, y1, x1, y1], np.float32)
    limits = np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1], np.float32)
    moved = np.clip(boxes_xyxy[kept] - shift, 0, limits)
    return image_rgb_u8[y1:y2, x1:x2], moved, labels[kept], difficult[kept]


def pad(sample: Sample, window: Window, inside: Window) -> Sample:
    """Add the border that makes the cut `inside` into `window`, both in one frame, in BORDER_RGB."""
    if window == inside:
        return sample
    image_rgb_u8, boxes_xyxy, labels, difficult = sample
    left, top = inside[0] - window[0], inside[1] - window[1]
    right, bottom = window[2] - inside[2], window[3] - inside[3]
    padded = cv2.copyMakeBorder(image_rgb_u8, top, bottom, left, right, cv2.BORDER_CONSTANT, value=BORDER_RGB)
    shift = np.array([left, top, left, top], np.float32)
    return np.asarray(padded, np.uint8), boxes_xyxy + shift, labels, difficult


def resize(sample: Sample, height: int, width: int) -> Sample:
    """Resize to height × width pixels, by halvings and one bilinear step; boxes scale along."""
    image_rgb_u8, boxes_xyxy, labels, difficult = sample
    old_h, old_w = image_rgb_u8.shape[:2]
    if (height, width) == (old_h, old_w):
        return sample
    halvings = Shrink((height, width), "both").halvings((old_h, old_w))
    halved = halve(image_rgb_u8, halvings)
    resized = np.asarray(cv2.resize(halved, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    # What halvings leave out at the far sides is less than a pixel of the result: boxes stay in the picture.
    factors = np.array([width / old_w, height / old_h, width / old_w, height / old_h], np.float32)
    return resized, boxes_xyxy * factors, labels, difficult


def flip(sample: Sample) -> Sample:
    """Return the mirror image: x becomes width - x."""
    image_rgb_u8, boxes_xyxy, labels, difficult = sample
    mirrored = boxes_xyxy.copy()
    mirrored[:, [0, 2]] = image_rgb_u8.shape[1] - boxes_xyxy[:, [2, 0]]
    return np.asarray(cv2.flip(image_rgb_u8, 1), np.uint8), mirrored, labels, difficult
