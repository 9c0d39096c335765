"""Random changes to a labelled picture that leave its labels true: flip, crop, zoom, stretch, colour.

Geometry is one window in the source picture: a slice of it, a border where the window reaches past it, and
at most one resize. All random numbers come from the generator that is passed in.
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import RecipeError
from tombola.train.data.pictures.window import (
    Sample,
    Window,
    crop,
    flip,
    keeps_one,
    needed_boxes,
    overlaps,
    pad,
    resize,
)

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
    stretch     largest change of aspect ratio, 0.1 = one side longer by up to 10 %
    brightness, contrast, saturation    largest change as a share, 0.3 = factor 0.7 … 1.3
    hue         largest turn as a share of the colour circle
    mosaic      probability that the caller joins four pictures by `mosaic` first
    mixup       probability that the caller lays another picture over this one by `mixup` afterwards
    clean_share last share of the epochs, in which neither mosaic nor mixup joins pictures
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
    mixup: float = 0.0
    clean_share: float = 0.1

    def __post_init__(self) -> None:
        joining = ("mosaic", "mixup", "clean_share")
        for name in ("flip", "crop", *joining, "stretch", "brightness", "contrast", "saturation", "hue"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"augment: {name} = {getattr(self, name)}; give a share from 0 to 1")
        if not 0 < self.crop_size[0] <= self.crop_size[1] <= 1:
            raise RecipeError(f"augment: crop_size = {self.crop_size}; give 0 < smallest <= largest <= 1")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise RecipeError(f"augment: scale = {self.scale}; give 0 < smallest <= largest")


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
    that had a box that is not difficult keeps one (likewise any box, if all are difficult). The inputs are
    not changed; the picture may share their memory where nothing was to change.
    """
    height, width = image_rgb_u8.shape[:2]
    window = _choose_window(height, width, needed_boxes(boxes_xyxy, difficult), settings, rng)
    inside = (max(window[0], 0), max(window[1], 0), min(window[2], width), min(window[3], height))
    part_rgb_u8, boxes_xyxy, labels, difficult = crop((image_rgb_u8, boxes_xyxy, labels, difficult), inside)
    # Before the border is added, so that the border keeps its colour.
    part_rgb_u8 = change_colours(part_rgb_u8, settings, rng)
    sample = pad((part_rgb_u8, boxes_xyxy, labels, difficult), window, inside)
    stretch = float(rng.uniform(-settings.stretch, settings.stretch))
    new_h, new_w = sample[0].shape[0] * (1 + max(-stretch, 0.0)), sample[0].shape[1] * (1 + max(stretch, 0.0))
    sample = resize(sample, round(new_h), round(new_w))
    return flip(sample) if rng.random() < settings.flip else sample


def _choose_window(
    height: int, width: int, needed: NDArray[np.float32], settings: AugmentSettings, rng: np.random.Generator
) -> Window:
    """Return a window that shows enough of some needed box; the whole picture if none is found."""
    if rng.random() < settings.crop:
        min_iou = rng.choice(CROP_MIN_IOUS)
        for _ in range(CROP_TRIES):
            share_h, share_w = rng.uniform(*settings.crop_size, 2)
            window = _place(height, width, share_h * height, share_w * width, rng)
            if 0.5 <= share_w / share_h <= 2 and overlaps(needed, window, min_iou):
                return window
    else:
        lowest, highest = np.log(settings.scale)
        zoom = float(np.exp(rng.uniform(lowest, highest)))
        for _ in range(CROP_TRIES):
            window = _place(height, width, height / zoom, width / zoom, rng)
            if keeps_one(needed, window):
                return window
    return 0, 0, width, height


def _place(height: int, width: int, window_h: float, window_w: float, rng: np.random.Generator) -> Window:
    """Put a window of that size at random so that it lies inside the picture, or the picture inside of it."""
    window_h_px, window_w_px = max(1, round(window_h)), max(1, round(window_w))
    y1 = round(rng.random() * (height - window_h_px))
    x1 = round(rng.random() * (width - window_w_px))
    return x1, y1, x1 + window_w_px, y1 + window_h_px


class Colours(Protocol):
    """How strongly colours change, each as in AugmentSettings."""

    @property
    def brightness(self) -> float: ...
    @property
    def contrast(self) -> float: ...
    @property
    def saturation(self) -> float: ...
    @property
    def hue(self) -> float: ...


def change_colours(
    image_rgb_u8: NDArray[np.uint8], settings: Colours, rng: np.random.Generator
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
            ((level - 128) * contrast + 128) * brightness,
        ],
        axis=1,
    )
    table_u8 = np.clip(np.round(tables), 0, 255).astype(np.uint8)[None]
    image_hsv_u8 = cv2.LUT(cv2.cvtColor(image_rgb_u8, cv2.COLOR_RGB2HSV), table_u8)
    return np.asarray(cv2.cvtColor(image_hsv_u8, cv2.COLOR_HSV2RGB), np.uint8)
