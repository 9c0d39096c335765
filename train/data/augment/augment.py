"""Random changes to a labelled picture that leave its labels true: flip, crop, zoom, stretch, turn, colour.

Geometry is one window in the source picture: a slice of it, a border where the window reaches past it, and
at most one resize; or, where the settings turn pictures, one resampling of that window. All random numbers
come from the generator that is passed in.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tombola.errors import RecipeError
from tombola.train.data.augment.colours import change_colours
from tombola.train.data.augment.placing import Placing, Turn, check_strength, draw_turn, place, turns
from tombola.train.data.augment.window import (
    BORDER_RGB,
    MIN_VISIBLE_SHARE,
    Sample,
    Window,
    crop,
    flip,
    keeps_one,
    needed_boxes,
    overlaps,
    pad,
    resize,
    visible_share,
)

CROP_TRIES = TURN_TRIES = 20
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
    rotate, shear, translate, lens      strongest turn, slant, shift and distortion, as in `Turns`; a box
                becomes the upright hull of where it comes to lie
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
    rotate: float = 0.0
    shear: float = 0.0
    translate: float = 0.0
    lens: float = 0.0
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.4
    hue: float = 0.02
    mosaic: float = 0.0
    mixup: float = 0.0
    clean_share: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in ("crop_size", "scale"):
                check_strength(field.name, getattr(self, field.name))
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
    sample = image_rgb_u8, boxes_xyxy, labels, difficult
    height, width = image_rgb_u8.shape[:2]
    window = _choose_window(height, width, needed_boxes(boxes_xyxy, difficult), settings, rng)
    sample = (_turn if turns(settings) else _cut)(sample, window, settings, rng)
    return flip(sample) if rng.random() < settings.flip else sample


def _cut(sample: Sample, window: Window, settings: AugmentSettings, rng: np.random.Generator) -> Sample:
    """Return the window, stretched, its colours changed."""
    height, width = sample[0].shape[:2]
    inside = (max(window[0], 0), max(window[1], 0), min(window[2], width), min(window[3], height))
    part_rgb_u8, boxes_xyxy, labels, difficult = crop(sample, inside)
    # Before the border is added, so that the border keeps its colour.
    part_rgb_u8 = change_colours(part_rgb_u8, settings, rng)
    sample = pad((part_rgb_u8, boxes_xyxy, labels, difficult), window, inside)
    return resize(sample, *_stretched_hw(window, settings, rng))


def _turn(sample: Sample, window: Window, settings: AugmentSettings, rng: np.random.Generator) -> Sample:
    """Return the window, stretched and turned, its colours changed; what lies around it fills the corners.

    Boxes of which less than MIN_VISIBLE_SHARE stays visible are dropped; without a turn if none keeps a
    needed one.
    """
    image_rgb_u8, boxes_xyxy, labels, difficult = sample
    image_rgb_u8 = change_colours(image_rgb_u8, settings, rng)
    size_hw = _stretched_hw(window, settings, rng)
    canvas = (0, 0, size_hw[1], size_hw[0])
    needed = needed_boxes(boxes_xyxy, difficult)
    placing = _seen_through(window, size_hw, Turn())
    for _ in range(TURN_TRIES):
        turn = draw_turn(settings, rng.random(5).tolist(), size_hw)
        tried = _seen_through(window, size_hw, turn)
        if keeps_one(tried.boxes(needed), canvas):
            placing = tried
            break
    hulls_xyxy = placing.boxes(boxes_xyxy)
    kept = visible_share(hulls_xyxy, canvas) >= MIN_VISIBLE_SHARE
    limits = np.array(canvas[2:] * 2, np.float32)
    moved = np.clip(hulls_xyxy[kept], 0, limits)
    return placing.resample(image_rgb_u8, BORDER_RGB), moved, labels[kept], difficult[kept]


def _seen_through(window: Window, size_hw: tuple[int, int], turn: Turn) -> Placing:
    x1, y1, x2, y2 = window
    step_xy = (x2 - x1) / size_hw[1], (y2 - y1) / size_hw[0]
    return place(size_hw, ((x1 + x2) / 2, (y1 + y2) / 2), step_xy, turn)


def _stretched_hw(window: Window, settings: AugmentSettings, rng: np.random.Generator) -> tuple[int, int]:
    """Return the size of the window in pixels with one of its sides made longer."""
    stretch = float(rng.uniform(-settings.stretch, settings.stretch))
    height, width = window[3] - window[1], window[2] - window[0]
    return round(height * (1 + max(-stretch, 0.0))), round(width * (1 + max(stretch, 0.0)))


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
