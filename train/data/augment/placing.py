"""Where a picture comes to lie on a canvas: scaled, slanted, turned, mirrored, shifted and bent, in one
resampling; and where its boxes do."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, hypot, log2, radians, sin, sqrt, tan
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import RecipeError
from tombola.runtime.pictures.shrink import halve

REMAPPED_SIDE = 8192  # in pixels; OpenCV's resampling reads fewer than 32767
MOST = {"rotate": 180.0, "shear": 60.0, "lens": 0.3}  # a stronger lens would fold the corners back
POINTS_A_SIDE = 8  # of a box; a lens bends its sides
HALVINGS_OF_RADIUS = 40  # to a millionth of a pixel
Row = tuple[float, float, float]


class Turns(Protocol):
    """How strongly pictures are turned, as settings have it.

    rotate, shear   largest turn and slant in degrees, either way
    translate       largest shift as a share of the side
    lens            strongest distortion: how far a corner moves, as a share of its distance to the middle,
                    inwards (barrel) or outwards (pincushion)
    """

    @property
    def rotate(self) -> float: ...
    @property
    def shear(self) -> float: ...
    @property
    def translate(self) -> float: ...
    @property
    def lens(self) -> float: ...


def turns(settings: Turns) -> bool:
    """Whether they turn anything."""
    return any((settings.rotate, settings.shear, settings.translate, settings.lens))


def check_strength(name: str, value: float) -> None:
    """RecipeError unless `value` is one that the setting of that name of [augment] may have."""
    most = MOST.get(name, 1.0)
    if not 0 <= value <= most:
        unit = "degrees" if most > 1 else "a share"
        raise RecipeError(f"augment: {name} = {value}; give {unit} from 0 to {most:g}")


@dataclass(frozen=True)
class Turn:
    """One turn: angle in radians, slant as a tangent, shift in whole pixels of the canvas, so that a shift
    alone blurs nothing, and how far a corner is bent outwards, as a share."""

    angle: float = 0.0
    slant: float = 0.0
    shift_xy: tuple[int, int] = (0, 0)
    bend: float = 0.0


def draw_turn(settings: Turns, chance: Sequence[float], size_hw: tuple[int, int]) -> Turn:
    """The turn that five numbers of 0..1 stand for: bend, angle, slant, shift across and down."""
    bend, angle, slant, across, down = (2 * one - 1 for one in chance)
    return Turn(
        angle=radians(settings.rotate * angle),
        slant=tan(radians(settings.shear * slant)),
        shift_xy=(
            round(settings.translate * size_hw[1] * across),
            round(settings.translate * size_hw[0] * down),
        ),
        bend=settings.lens * bend,
    )


@dataclass(frozen=True)
class Placing:
    """A map from a canvas of `size_hw` pixels to a picture.

    A point at the offset (u, v) from the canvas' middle is bent to (1 + bend · r²) · (u, v), r being its
    distance to the middle as a share of a corner's; it shows what lies at (a·u + b·v + x, c·u + d·v + y) in
    the picture's pixels: `rows` are a b x and c d y.
    """

    size_hw: tuple[int, int]
    rows: tuple[Row, Row]
    bend: float = 0.0

    def resample(
        self, image_rgb_u8: NDArray[np.uint8], border_rgb: tuple[int, int, int] | None = None
    ) -> NDArray[np.uint8]:
        """The canvas uint8 [size_hw, 3]; beyond the picture it has the colour of the border, or of the
        picture's own nearest pixel."""
        (a, b, x), (c, d, y) = self.rows
        old_h, old_w = image_rgb_u8.shape[:2]
        # Interpolation reads 2 × 2 pixels, so a step must not be longer than two.
        halvings = int(log2(max(1, min(hypot(a, c), hypot(b, d), old_h, old_w))))
        image_rgb_u8 = limit_side(halve(image_rgb_u8, halvings), REMAPPED_SIDE)
        a, b, x = (number * image_rgb_u8.shape[1] / old_w for number in (a, b, x))
        c, d, y = (number * image_rgb_u8.shape[0] / old_h for number in (c, d, y))
        # Offset of the first pixel from the middle; OpenCV counts from the middle of a pixel, hence the 0.5.
        first_x, first_y = (1 - self.size_hw[1]) / 2, (1 - self.size_hw[0]) / 2
        border, colour = (
            (cv2.BORDER_REPLICATE, (0, 0, 0)) if border_rgb is None else (cv2.BORDER_CONSTANT, border_rgb)
        )
        if self.bend:
            across = np.linspace(first_x, -first_x, self.size_hw[1], dtype=np.float32)[None]
            down = np.linspace(first_y, -first_y, self.size_hw[0], dtype=np.float32)[:, None]
            factor = 1 + self.bend * (across**2 + down**2) / self._corner_px**2
            across, down = across * factor, down * factor
            map_x = (a * across + b * down + (x - 0.5)).astype(np.float32)
            map_y = (c * across + d * down + (y - 0.5)).astype(np.float32)
            placed = cv2.remap(
                image_rgb_u8, map_x, map_y, cv2.INTER_LINEAR, borderMode=border, borderValue=colour
            )
        else:
            offset_x, offset_y = a * first_x + b * first_y + x - 0.5, c * first_x + d * first_y + y - 0.5
            placed = cv2.warpAffine(
                image_rgb_u8,
                np.array(((a, b, offset_x), (c, d, offset_y))),
                self.size_hw[::-1],
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=border,
                borderValue=colour,
            )
        return np.asarray(placed, np.uint8)

    def boxes(self, boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """The upright hulls [n, 4], in pixels of the canvas, of boxes [n, 4] of the picture; they may reach
        beyond the canvas."""
        share = np.arange(POINTS_A_SIDE) / POINTS_A_SIDE
        one, nil = np.ones(POINTS_A_SIDE), np.zeros(POINTS_A_SIDE)
        across, down = (
            np.concatenate([share, one, 1 - share, nil]),
            np.concatenate([nil, share, one, 1 - share]),
        )
        x1, y1, x2, y2 = boxes_xyxy.astype(np.float64).T[..., None]
        outline_xy = self.points(np.stack([x1 + (x2 - x1) * across, y1 + (y2 - y1) * down], axis=-1))
        return np.concatenate([outline_xy.min(axis=1), outline_xy.max(axis=1)], axis=1).astype(np.float32)

    def points(self, picture_xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points [..., 2] of the picture come to lie, in pixels of the canvas."""
        (a, b, x), (c, d, y) = self.rows
        bent_xy = (picture_xy - (x, y)) @ np.linalg.inv(np.array(((a, b), (c, d)))).T
        if self.bend:
            bent_xy = bent_xy * self._unbend(np.hypot(bent_xy[..., 0], bent_xy[..., 1]))[..., None]
        middle_xy = np.array((self.size_hw[1] / 2, self.size_hw[0] / 2))
        return np.asarray(bent_xy + middle_xy, np.float64)

    @property
    def _corner_px(self) -> float:
        return hypot(self.size_hw[0] / 2, self.size_hw[1] / 2)

    def _unbend(self, bent_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factor on distances to the middle: r of r · (1 + bend · r²), found by halving where it lies.

        A barrel shows nothing beyond where that is largest, which is outside of the canvas.
        """
        bent = bent_px / self._corner_px
        low = np.zeros_like(bent)
        high = bent.copy() if self.bend > 0 else np.full_like(bent, 1 / sqrt(-3 * self.bend))
        for _ in range(HALVINGS_OF_RADIUS):
            middle = (low + high) / 2
            beyond = middle * (1 + self.bend * middle**2) > bent
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        return np.divide(low, bent, out=np.ones_like(bent), where=bent > 0)


def place(
    size_hw: tuple[int, int],
    centre_xy: tuple[float, float],
    step_xy: tuple[float, float],
    turn: Turn,
    mirrored: tuple[bool, bool] = (False, False),
) -> Placing:
    """The placing of the window around `centre_xy` in a picture of which a pixel of the canvas takes
    `step_xy` pixels; slanted, turned, mirrored (left to right, top to bottom) and shifted, in this order."""
    left_right, up_down = (-1 if mirror else 1 for mirror in mirrored)
    a = step_xy[0] * left_right * (cos(turn.angle) + turn.slant * sin(turn.angle))
    b = step_xy[0] * up_down * (sin(turn.angle) - turn.slant * cos(turn.angle))
    c = step_xy[1] * left_right * -sin(turn.angle)
    d = step_xy[1] * up_down * cos(turn.angle)
    shift_x, shift_y = turn.shift_xy
    x = centre_xy[0] - a * shift_x - b * shift_y
    y = centre_xy[1] - c * shift_x - d * shift_y
    return Placing(size_hw, ((a, b, x), (c, d, y)), turn.bend)


def limit_side(image_rgb_u8: NDArray[np.uint8], most_px: int) -> NDArray[np.uint8]:
    """Return the picture [h, w, 3] with no side above `most_px`, itself if it has none."""
    height, width = image_rgb_u8.shape[:2]
    share = most_px / max(height, width)
    if share >= 1:
        return image_rgb_u8
    size_wh = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(image_rgb_u8, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
