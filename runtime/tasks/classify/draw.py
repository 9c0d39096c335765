"""The name of what a picture shows, in its top left corner."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.pictures.lettering import Rect, Tag, colour_of, draw_tag, printable, tag_size
from tombola.runtime.tasks.classify.answer import Classification

LONGEST_SIDE_PX = 640  # no picture is enlarged beyond


def draw_classification(image_rgb_u8: NDArray[np.uint8], classification: Classification) -> NDArray[np.uint8]:
    """Return a copy of the picture, uint8 [height, width, 3] RGB, with the best class and its probability.

    Where the two have no room the name stands alone; where it has none either, nothing is drawn.
    PictureError where it is no such picture.
    """
    if image_rgb_u8.ndim != 3 or image_rgb_u8.shape[2] != 3 or image_rgb_u8.dtype != np.uint8:
        raise PictureError(
            "a picture to draw on must be uint8 [height, width, 3], "
            f"but is {image_rgb_u8.dtype} {list(image_rgb_u8.shape)}."
        )
    canvas = np.array(image_rgb_u8, order="C")
    height, width = canvas.shape[:2]
    for text in _texts(classification):
        text_width, text_height = tag_size(text, (height, width))
        if text_width <= width and text_height <= height:
            tag = Tag(text, Rect(0, 0, text_width, text_height))
            draw_tag(canvas, tag, colour_of(classification.best.label))
            break
    return canvas


def enlarge_for_name(image_rgb_u8: NDArray[np.uint8], classification: Classification) -> NDArray[np.uint8]:
    """The picture with each pixel a square, as small a one as gives name and probability their room.

    The picture itself where it has that room, and where no square up to LONGEST_SIDE_PX would give it.
    """
    text = _texts(classification)[0]
    height, width = image_rgb_u8.shape[:2]
    for factor in range(1, LONGEST_SIDE_PX // max(height, width) + 1):
        size_wh = (factor * width, factor * height)
        text_width, text_height = tag_size(text, (size_wh[1], size_wh[0]))
        # Twice the letters' height, so that something of the picture is left to see.
        if text_width <= size_wh[0] and 2 * text_height <= size_wh[1]:
            return np.asarray(cv2.resize(image_rgb_u8, size_wh, interpolation=cv2.INTER_NEAREST), np.uint8)
    return image_rgb_u8


def _texts(classification: Classification) -> tuple[str, str]:
    name = printable(classification.name)
    return f"{name} {classification.probability:.2f}", name
