"""Random changes of a picture's colours."""

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray


class Colours(Protocol):
    """How strongly colours change, as settings have it: brightness, contrast and saturation as a share,
    0.3 = factor 0.7 … 1.3, hue as a share of the colour circle."""

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
