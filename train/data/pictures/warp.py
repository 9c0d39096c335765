"""A picture on a classifier's canvas, whole or changed at random so that its label stays true.

All geometry is composed first and the pixels are resampled once, after the halvings that leave less than a
factor of two to that step, as in a picture that is not changed. Beyond its border a picture goes on with its
border's colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import cos, exp, hypot, log, log2, radians, sin, sqrt, tan

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import RecipeError
from tombola.runtime.pictures.shrink import halve
from tombola.train.data.pictures.augment import change_colours
from tombola.train.resize.fit import Fit, fill

ERASED_SHARE = (0.02, 0.33)  # of the canvas; Zhong et al. 2017, Random Erasing
ERASED_ASPECT = 3.3
GREY = 128
REMAPPED_SIDE = 8192  # in pixels; OpenCV's remap reads fewer than 32767
MOST = {"rotate": 180.0, "shear": 60.0, "lens": 0.3}  # a stronger lens would fold the corners back


@dataclass(frozen=True)
class WarpSettings:
    """How strongly pictures are changed. The defaults change nothing.

    flip, flip_vertical   probability of a mirror image, left to right and top to bottom
    crop                  smallest share of the area that is kept; 1 keeps all
    translate             largest shift as a share of the side; whole pixels of the canvas
    rotate                largest turn in degrees, either way
    stretch               largest change of aspect ratio, 0.1 = up to 10 % wider or narrower
    shear                 largest slant in degrees, either way
    lens                  strongest distortion: how far a corner moves, as a share of its distance to the
                          middle, inwards (barrel) or outwards (pincushion)
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
            value, most = getattr(self, field.name), MOST.get(field.name, 1.0)
            if not 0 <= value <= most:
                unit = "degrees" if most > 1 else "a share"
                raise RecipeError(f"augment: {field.name} = {value}; give {unit} from 0 to {most:g}")
        if self.crop == 0:
            raise RecipeError("augment: crop = 0 keeps nothing; give the smallest share of the area to keep")

    @property
    def moves(self) -> bool:
        """Whether anything but a mirror image changes where pixels are."""
        return self.crop < 1 or any((self.translate, self.rotate, self.stretch, self.shear, self.lens))

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
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the picture [h, w, 3] on a canvas of `size_hw` pixels, uint8 [size_hw, 3].

    fit       "crop" fills the canvas with the largest window in the middle that has its aspect ratio,
              "stretch" with the whole picture
    settings  None: nothing is random, and a picture that has the size already comes back as it is

    The input is not changed; what is returned may share its memory where nothing was to change.
    """
    if settings is None:
        return fill(image_rgb_u8, size_hw, fit)
    if settings.lens:
        image_rgb_u8 = limit_side(image_rgb_u8, REMAPPED_SIDE)
    chance = rng.random(12).tolist()
    mirrored = chance[0] < settings.flip, chance[1] < settings.flip_vertical
    if settings.moves:
        canvas_rgb_u8 = _warp(image_rgb_u8, size_hw, fit, settings, chance[3:], mirrored)
    else:
        canvas_rgb_u8 = _mirror(fill(image_rgb_u8, size_hw, fit), mirrored)
    if settings.colours:
        canvas_rgb_u8 = change_colours(canvas_rgb_u8, settings, rng)
    return _erase(canvas_rgb_u8, rng) if chance[2] < settings.erase else canvas_rgb_u8


def _window_hw(picture_hw: tuple[int, int], size_hw: tuple[int, int], fit: Fit) -> tuple[float, float]:
    """Height and width, in pixels of the picture, of the window in its middle that fills the canvas."""
    if fit == "stretch":
        return picture_hw
    scale = min(picture_hw[0] / size_hw[0], picture_hw[1] / size_hw[1])
    return size_hw[0] * scale, size_hw[1] * scale


def limit_side(image_rgb_u8: NDArray[np.uint8], most_px: int) -> NDArray[np.uint8]:
    """Return the picture [h, w, 3] with no side above `most_px`, itself if it has none."""
    height, width = image_rgb_u8.shape[:2]
    share = most_px / max(height, width)
    if share >= 1:
        return image_rgb_u8
    size_wh = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(image_rgb_u8, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _mirror(canvas_rgb_u8: NDArray[np.uint8], mirrored: tuple[bool, bool]) -> NDArray[np.uint8]:
    if not any(mirrored):
        return canvas_rgb_u8
    code = -1 if all(mirrored) else 1 if mirrored[0] else 0
    return np.asarray(cv2.flip(canvas_rgb_u8, code), np.uint8)


def _warp(
    image_rgb_u8: NDArray[np.uint8],
    size_hw: tuple[int, int],
    fit: Fit,
    settings: WarpSettings,
    chance: Sequence[float],
    mirrored: tuple[bool, bool],
) -> NDArray[np.uint8]:
    """Resample the picture once through crop, stretch, shear, turn, mirror, shift and lens, in this order."""
    (a, b, _), (c, d, _) = _to_picture(image_rgb_u8.shape[:2], size_hw, fit, settings, chance, mirrored)
    # Interpolation reads 2 × 2 pixels, so a step must not be longer than two.
    halvings = int(log2(max(1, min(hypot(a, c), hypot(b, d), *image_rgb_u8.shape[:2]))))
    image_rgb_u8 = halve(image_rgb_u8, halvings)
    (a, b, x), (c, d, y) = _to_picture(image_rgb_u8.shape[:2], size_hw, fit, settings, chance, mirrored)
    # Offset of the first pixel from the middle. OpenCV counts from the middle of a pixel, hence 0.5 below.
    first_x, first_y = (1 - size_hw[1]) / 2, (1 - size_hw[0]) / 2
    if settings.lens:
        bend = settings.lens * (2 * chance[0] - 1)
        across = np.linspace(first_x, -first_x, size_hw[1], dtype=np.float32)[None]
        down = np.linspace(first_y, -first_y, size_hw[0], dtype=np.float32)[:, None]
        factor = 1 + bend * (across**2 + down**2) / ((size_hw[0] / 2) ** 2 + (size_hw[1] / 2) ** 2)
        across, down = across * factor, down * factor
        map_x = (a * across + b * down + (x - 0.5)).astype(np.float32)
        map_y = (c * across + d * down + (y - 0.5)).astype(np.float32)
        warped = cv2.remap(image_rgb_u8, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    else:
        offset_x, offset_y = a * first_x + b * first_y + x - 0.5, c * first_x + d * first_y + y - 0.5
        warped = cv2.warpAffine(
            image_rgb_u8,
            np.array(((a, b, offset_x), (c, d, offset_y))),
            size_hw[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return np.asarray(warped, np.uint8)


def _to_picture(
    picture_hw: tuple[int, int],
    size_hw: tuple[int, int],
    fit: Fit,
    settings: WarpSettings,
    chance: Sequence[float],
    mirrored: tuple[bool, bool],
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the affine map from offsets to the canvas' middle to the picture's pixels, two rows.

    It undoes shift, mirror, turn, shear, stretch and crop, in this order.
    """
    window_hw = _window_hw(picture_hw, size_hw, fit)
    angle = radians(settings.rotate * (2 * chance[1] - 1))
    slant = tan(radians(settings.shear * (2 * chance[2] - 1)))
    wider = sqrt(1 + settings.stretch) ** (2 * chance[3] - 1)
    kept_side = sqrt(settings.crop + (1 - settings.crop) * chance[4])
    x_scale = kept_side * window_hw[1] / size_hw[1] / wider
    y_scale = kept_side * window_hw[0] / size_hw[0] * wider
    left_right, up_down = (-1 if mirror else 1 for mirror in mirrored)
    a = x_scale * left_right * (cos(angle) + slant * sin(angle))
    b = x_scale * up_down * (sin(angle) - slant * cos(angle))
    c = y_scale * left_right * -sin(angle)
    d = y_scale * up_down * cos(angle)
    # Whole pixels, so that a shift alone blurs nothing.
    shift_x = round(settings.translate * size_hw[1] * (2 * chance[5] - 1))
    shift_y = round(settings.translate * size_hw[0] * (2 * chance[6] - 1))
    x = picture_hw[1] / 2 + (chance[7] - 0.5) * (1 - kept_side) * window_hw[1] - a * shift_x - b * shift_y
    y = picture_hw[0] / 2 + (chance[8] - 0.5) * (1 - kept_side) * window_hw[0] - c * shift_x - d * shift_y
    return (a, b, x), (c, d, y)


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
