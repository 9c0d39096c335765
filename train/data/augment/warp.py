"""A picture on a classifier's canvas, whole or changed at random so that its label stays true.

All geometry is composed first and the pixels are resampled once. Beyond its border a picture goes on with its
border's colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import exp, log, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import RecipeError
from tombola.train.data.augment.colours import change_colours
from tombola.train.data.augment.placing import Placing, check_strength, draw_turn, place, turns
from tombola.train.resize.fit import Fit, fill

ERASED_SHARE = (0.02, 0.33)  # of the canvas; Zhong et al. 2017, Random Erasing
ERASED_ASPECT = 3.3
GREY = 128


@dataclass(frozen=True)
class WarpSettings:
    """How strongly pictures are changed. The defaults change nothing.

    flip, flip_vertical   probability of a mirror image, left to right and top to bottom
    crop                  smallest share of the area that is kept; 1 keeps all
    stretch               largest change of aspect ratio, 0.1 = up to 10 % wider or narrower
    rotate, shear, translate, lens      strongest turn, slant, shift and distortion, as in `Turns`
    erase                 probability that a grey rectangle hides a part
    brightness, contrast, saturation    largest change as a share, 0.3 = factor 0.7 … 1.3
    hue                   largest turn as a share of the colour circle
    """

    flip: float = 0.0
    flip_vertical: float = 0.0
    crop: float = 1.0
    translate: float = 0.0
    rotate: float = 0.0
    stretch: float = 0.0
    shear: float = 0.0
    lens: float = 0.0
    erase: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            check_strength(field.name, getattr(self, field.name))
        if self.crop == 0:
            raise RecipeError("augment: crop = 0 keeps nothing; give the smallest share of the area to keep")

    @property
    def changes(self) -> bool:
        """Whether anything does."""
        return self.moves or self.colours or any((self.flip, self.flip_vertical, self.erase))

    @property
    def moves(self) -> bool:
        """Whether anything but a mirror image changes where pixels are."""
        return self.crop < 1 or self.stretch > 0 or turns(self)

    @property
    def colours(self) -> bool:
        """Whether colours change."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))


def fit_picture(
    image_rgb_u8: NDArray[np.uint8],
    size_hw: tuple[int, int],
    *,
    fit: Fit,
    settings: WarpSettings | None,
    seed: int,
) -> NDArray[np.uint8]:
    """Return the picture [h, w, 3] on a canvas of `size_hw` pixels, uint8 [size_hw, 3].

    fit       "crop" fills the canvas with the largest window in the middle that has its aspect ratio,
              "stretch" with the whole picture
    settings  None: nothing is random, and a picture that has the size already comes back as it is
    seed      of all that is random

    The input is not changed; what is returned may share its memory where nothing was to change.
    """
    if settings is None or not settings.changes:
        return fill(image_rgb_u8, size_hw, fit)
    rng = np.random.default_rng(seed)
    chance = rng.random(12).tolist()
    mirrored = chance[0] < settings.flip, chance[1] < settings.flip_vertical
    if settings.moves:
        placing = _place(image_rgb_u8.shape[:2], size_hw, fit, settings, chance[3:], mirrored)
        canvas_rgb_u8 = placing.resample(image_rgb_u8)
    else:
        canvas_rgb_u8 = _mirror(fill(image_rgb_u8, size_hw, fit), mirrored)
    if settings.colours:
        canvas_rgb_u8 = change_colours(canvas_rgb_u8, settings, rng)
    return _erase(canvas_rgb_u8, rng) if chance[2] < settings.erase else canvas_rgb_u8


def fit_clip(
    frames_rgb_u8: NDArray[np.uint8],
    size_hw: tuple[int, int],
    *,
    fit: Fit,
    settings: WarpSettings | None,
    seed: int,
) -> NDArray[np.uint8]:
    """Return the frames [n, h, w, 3] of a clip as `fit_picture` does a picture, all changed alike."""
    fitted = [fit_picture(one, size_hw, fit=fit, settings=settings, seed=seed) for one in frames_rgb_u8]
    return np.stack(fitted)


def _window_hw(picture_hw: tuple[int, int], size_hw: tuple[int, int], fit: Fit) -> tuple[float, float]:
    """Height and width, in pixels of the picture, of the window in its middle that fills the canvas."""
    if fit == "stretch":
        return picture_hw
    scale = min(picture_hw[0] / size_hw[0], picture_hw[1] / size_hw[1])
    return size_hw[0] * scale, size_hw[1] * scale


def _mirror(canvas_rgb_u8: NDArray[np.uint8], mirrored: tuple[bool, bool]) -> NDArray[np.uint8]:
    if not any(mirrored):
        return canvas_rgb_u8
    code = -1 if all(mirrored) else 1 if mirrored[0] else 0
    return np.asarray(cv2.flip(canvas_rgb_u8, code), np.uint8)


def _place(
    picture_hw: tuple[int, int],
    size_hw: tuple[int, int],
    fit: Fit,
    settings: WarpSettings,
    chance: Sequence[float],
    mirrored: tuple[bool, bool],
) -> Placing:
    """Crop, stretch, and all that a turn is, in this order."""
    window_hw = _window_hw(picture_hw, size_hw, fit)
    wider = sqrt(1 + settings.stretch) ** (2 * chance[3] - 1)
    kept_side = sqrt(settings.crop + (1 - settings.crop) * chance[4])
    step_xy = kept_side * window_hw[1] / size_hw[1] / wider, kept_side * window_hw[0] / size_hw[0] * wider
    centre_xy = (
        picture_hw[1] / 2 + (chance[7] - 0.5) * (1 - kept_side) * window_hw[1],
        picture_hw[0] / 2 + (chance[8] - 0.5) * (1 - kept_side) * window_hw[0],
    )
    turn = draw_turn(settings, (*chance[:3], *chance[5:7]), size_hw)
    return place(size_hw, centre_xy, step_xy, turn, mirrored)


def _erase(canvas_rgb_u8: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Hide a rectangle of random area, aspect ratio and place behind grey."""
    height, width = canvas_rgb_u8.shape[:2]
    area = rng.uniform(*ERASED_SHARE) * height * width
    aspect = exp(rng.uniform(-log(ERASED_ASPECT), log(ERASED_ASPECT)))
    erased_h = min(height, max(1, round(sqrt(area * aspect))))
    erased_w = min(width, max(1, round(sqrt(area / aspect))))
    top = int(rng.integers(height - erased_h + 1))
    left = int(rng.integers(width - erased_w + 1))
    erased_rgb_u8 = canvas_rgb_u8.copy()
    erased_rgb_u8[top : top + erased_h, left : left + erased_w] = GREY
    return erased_rgb_u8
