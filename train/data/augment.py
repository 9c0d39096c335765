"""Random changes to a labelled picture that leave its labels true: flip, crop, zoom, stretch, colour.

Geometry is one window in the source picture: a slice where it lies inside, a border where it reaches out,
and at most one resize. All random numbers come from the generator that is passed in.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Sample = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]

MIN_VISIBLE_SHARE = 0.3
BORDER_RGB = (124, 116, 104)  # ImageNet's mean colour
CROP_TRIES = 20
CROP_MIN_IOUS = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class AugmentSettings:
    """How strongly pictures are changed. Everything at 0 and scale (1, 1) changes nothing.

    flip        probability of a mirror image
    crop        probability of an SSD crop, which keeps some box with IoU >= 0.1 … 0.9 to the window;
                otherwise the scale is drawn
    crop_size   smallest and largest side of that crop, as a share of the picture's
    scale       smallest and largest zoom; below 1 the picture shrinks inside a border, above 1 it is cropped
    stretch     largest change of aspect ratio, 0.1 = by up to ±10 %
    brightness, contrast, saturation    largest change as a share, 0.3 = factor 0.7 … 1.3
    hue         largest turn as a share of the colour circle
    mosaic      probability that the caller joins four pictures by `mosaic`
    """

    flip: float = 0.5
    crop: float = 0.5
    crop_size: tuple[float, float] = (0.3, 1.0)
    scale: tuple[float, float] = (0.6, 1.5)
    stretch: float = 0.1
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.4
    hue: float = 0.02
    mosaic: float = 0.0


def augment(
    image_rgb_u8: NDArray[np.uint8],
    boxes_xyxy: NDArray[np.float32],
    labels: NDArray[np.int64],
    difficult: NDArray[np.bool_],
    *,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> Sample:
    """Return a changed picture [h', w', 3], its boxes [m, 4] in the new pixels, labels, difficult.

    The size changes with the crop. Boxes of which less than 0.3 stays visible are dropped, but a picture
    that had a box that is not difficult keeps one (likewise any box, if all are difficult).
    """
    window = _choose_window(image_rgb_u8.shape[:2], boxes_xyxy, difficult, settings, rng)
    sample = cut_window((image_rgb_u8, boxes_xyxy, labels, difficult), window)
    sample = _stretch(sample, float(rng.uniform(-settings.stretch, settings.stretch)))
    if rng.random() < settings.flip:
        sample = flip(sample)
    image_rgb_u8, boxes_xyxy, labels, difficult = sample
    return change_colours(image_rgb_u8, settings, rng), boxes_xyxy, labels, difficult


def _choose_window(
    size_hw: tuple[int, ...],
    boxes_xyxy: NDArray[np.float32],
    difficult: NDArray[np.bool_],
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """Return x1 y1 x2 y2 in whole source pixels; negative or past the picture where a border is wanted."""
    height, width = size_hw[0], size_hw[1]
    needed = boxes_xyxy[~difficult] if (~difficult).any() else boxes_xyxy
    if rng.random() < settings.crop:
        min_iou = rng.choice(CROP_MIN_IOUS)
        for _ in range(CROP_TRIES):
            share_h, share_w = rng.uniform(*settings.crop_size, 2)
            if not 0.5 <= share_w / share_h <= 2:
                continue
            window = _place(height, width, share_h * height, share_w * width, rng)
            if len(needed) == 0 or (_best_iou(needed, window) >= min_iou and _keeps_one(needed, window)):
                return window
    else:
        lowest, highest = np.log(settings.scale)
        zoom = float(np.exp(rng.uniform(lowest, highest)))
        for _ in range(CROP_TRIES):
            window = _place(height, width, height / zoom, width / zoom, rng)
            if len(needed) == 0 or _keeps_one(needed, window):
                return window
    return 0, 0, width, height


def _place(
    height: int, width: int, window_h: float, window_w: float, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Put a window of that size at random so that it lies inside the picture, or the picture inside of it."""
    window_h_px, window_w_px = max(1, round(window_h)), max(1, round(window_w))
    y1 = round(rng.random() * (height - window_h_px))
    x1 = round(rng.random() * (width - window_w_px))
    return x1, y1, x1 + window_w_px, y1 + window_h_px


def _visible_share(boxes_xyxy: NDArray[np.float32], window: tuple[int, int, int, int]) -> NDArray[np.float32]:
    low = np.maximum(boxes_xyxy[:, :2], np.float32(window[:2]))
    high = np.minimum(boxes_xyxy[:, 2:], np.float32(window[2:]))
    inside = np.prod(np.maximum(high - low, 0), axis=1)
    return np.asarray(inside / np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1), np.float32)


def _keeps_one(boxes_xyxy: NDArray[np.float32], window: tuple[int, int, int, int]) -> bool:
    return bool((_visible_share(boxes_xyxy, window) >= MIN_VISIBLE_SHARE).any())


def _best_iou(boxes_xyxy: NDArray[np.float32], window: tuple[int, int, int, int]) -> float:
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    inside = _visible_share(boxes_xyxy, window) * areas
    window_area = (window[2] - window[0]) * (window[3] - window[1])
    return float((inside / (areas + window_area - inside)).max())


def cut_window(sample: Sample, window: tuple[int, int, int, int]) -> Sample:
    """Cut x1 y1 x2 y2 (whole pixels) out of a sample; where it reaches past the picture a border is added."""
    image_rgb_u8, boxes_xyxy, labels, difficult = sample
    height, width = image_rgb_u8.shape[:2]
    x1, y1, x2, y2 = window
    part = image_rgb_u8[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
    top, left, bottom, right = max(-y1, 0), max(-x1, 0), max(y2 - height, 0), max(x2 - width, 0)
    if top or left or bottom or right:
        part = np.asarray(
            cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_CONSTANT, value=BORDER_RGB),
            np.uint8,
        )
    kept = _visible_share(boxes_xyxy, window) >= MIN_VISIBLE_SHARE
    limits = np.float32([x2 - x1, y2 - y1, x2 - x1, y2 - y1])
    moved = np.clip(boxes_xyxy[kept] - np.float32([x1, y1, x1, y1]), 0, limits)
    return part, moved, labels[kept], difficult[kept]


def _stretch(sample: Sample, change: float) -> Sample:
    """Widen the picture by 1 + change, or heighten it by 1 - change where that is negative."""
    image_rgb_u8, boxes_xyxy, labels, difficult = sample
    height, width = image_rgb_u8.shape[:2]
    new_w = max(1, round(width * (1 + max(change, 0.0))))
    new_h = max(1, round(height * (1 + max(-change, 0.0))))
    if (new_w, new_h) == (width, height):
        return sample
    stretched = np.asarray(cv2.resize(image_rgb_u8, (new_w, new_h), interpolation=cv2.INTER_LINEAR), np.uint8)
    factors = np.float32([new_w / width, new_h / height, new_w / width, new_h / height])
    return stretched, boxes_xyxy * factors, labels, difficult


def flip(sample: Sample) -> Sample:
    """Return the mirror image: x becomes width - x."""
    image_rgb_u8, boxes_xyxy, labels, difficult = sample
    mirrored = boxes_xyxy.copy()
    mirrored[:, [0, 2]] = image_rgb_u8.shape[1] - boxes_xyxy[:, [2, 0]]
    return np.asarray(cv2.flip(image_rgb_u8, 1), np.uint8), mirrored, labels, difficult


def change_colours(
    image_rgb_u8: NDArray[np.uint8], settings: AugmentSettings, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Turn hue, scale saturation, brightness and contrast, by one table look-up in HSV."""
    brightness = 1 + rng.uniform(-settings.brightness, settings.brightness)
    contrast = 1 + rng.uniform(-settings.contrast, settings.contrast)
    saturation = 1 + rng.uniform(-settings.saturation, settings.saturation)
    turn = rng.uniform(-settings.hue, settings.hue) * 180
    if (brightness, contrast, saturation, turn) == (1, 1, 1, 0):
        return image_rgb_u8
    level = np.arange(256, dtype=np.float64)
    tables = np.stack(
        [
            np.round(level + turn) % 180,  # OpenCV keeps hue in steps of two degrees, 0 … 179
            level * saturation,
            (level - 128) * contrast * brightness + 128 * brightness,
        ],
        axis=1,
    )
    table_u8 = np.clip(np.round(tables), 0, 255).astype(np.uint8)[None]
    image_hsv_u8 = cv2.LUT(cv2.cvtColor(image_rgb_u8, cv2.COLOR_RGB2HSV), table_u8)
    return np.asarray(cv2.cvtColor(image_hsv_u8, cv2.COLOR_HSV2RGB), np.uint8)
