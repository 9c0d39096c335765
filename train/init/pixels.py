"""What a recipe wants to know of the pixels of a set, seen in some of its pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError, PictureError

MOST_PICTURES = 200  # a few seconds; the mean of that many photos is known to a level or two


@dataclass(frozen=True)
class PixelSummary:
    """size_hw: median height and width. mean_rgb, spread_rgb: mean and standard deviation of all pixels by
    channel, in 0 … 255. is_grey: whether the channels of every picture are equal."""

    size_hw: tuple[int, int]
    mean_rgb: tuple[float, float, float]
    spread_rgb: tuple[float, float, float]
    is_grey: bool


def measure(count: int, read: Callable[[int], NDArray[np.uint8]]) -> PixelSummary:
    """Look at up to MOST_PICTURES of `count` pictures, evenly spread; read(i) gives image_rgb_u8 [h, w, 3].

    A picture that cannot be read is passed over, for `tombola data check` to tell. DataError if none can be.
    """
    sizes, means, squares, grey, trouble = [], [], [], True, "there is none"
    for place in np.unique(np.linspace(0, count - 1, min(count, MOST_PICTURES)).round().astype(int)):
        try:
            image_rgb_u8 = read(int(place))
        except (DataError, PictureError) as error:
            trouble = str(error)
            continue
        mean, spread = (moment[:, 0] for moment in cv2.meanStdDev(image_rgb_u8))
        sizes.append(image_rgb_u8.shape[:2])
        means.append(mean)
        squares.append(spread**2 + mean**2)
        grey = grey and bool((image_rgb_u8 == image_rgb_u8[..., :1]).all())
    if not sizes:
        raise DataError(f"no picture can be read ({trouble}); `tombola data check` lists what is wrong")
    height, width = np.median(sizes, axis=0).round().astype(int).tolist()
    pixels = np.prod(np.array(sizes, np.float64), axis=1)
    mean = np.average(means, axis=0, weights=pixels)
    spread = np.sqrt(np.maximum(np.average(squares, axis=0, weights=pixels) - mean**2, 0))
    return PixelSummary((height, width), tuple(mean.tolist()), tuple(spread.tolist()), grey)
