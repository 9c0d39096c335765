"""The name of what a picture shows, in its top left corner, and where the classifier looked."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError, PictureError
from tombola.runtime.pictures.lettering import Rect, Tag, colour_of, draw_tag, printable, tag_size
from tombola.runtime.tasks.classify.answer import Classification

LONGEST_SIDE_PX = 640  # no picture is enlarged beyond
DIM = 0.25  # what is left of the light where nobody looked


def draw_classification(image_rgb_u8: NDArray[np.uint8], classification: Classification) -> NDArray[np.uint8]:
    """Return a copy of the picture, uint8 [height, width, 3] RGB, with the best class and its probability.

    Where the two have no room the name stands alone; where it has none either, nothing is drawn.
    PictureError where it is no such picture.
    """
    _check(image_rgb_u8)
    canvas = np.array(image_rgb_u8, order="C")
    height, width = canvas.shape[:2]
    for text in _texts(classification):
        text_width, text_height = tag_size(text, (height, width))
        if text_width <= width and text_height <= height:
            tag = Tag(text, Rect(0, 0, text_width, text_height))
            draw_tag(canvas, tag, colour_of(classification.best.label))
            break
    return canvas


def draw_attention(image_rgb_u8: NDArray[np.uint8], classification: Classification) -> NDArray[np.uint8]:
    """Return a copy of the picture, uint8 [height, width, 3] RGB, brighter where it was looked, named.

    The strongest cell keeps all its light. PictureError where it is no such picture, ModelError where the
    classification has no attention.
    """
    _check(image_rgb_u8)
    if classification.attention is None or classification.seen is None:
        raise ModelError(
            'the model does not tell where it looks; train one with network.pooling = "attention".'
        )
    larger = enlarge_for_name(image_rgb_u8, classification)
    factor = larger.shape[0] // image_rgb_u8.shape[0]
    top, left, height, width = (factor * one for one in classification.seen)
    weights = classification.attention / max(float(classification.attention.max()), 1e-9)
    light = np.zeros(larger.shape[:2], np.float32)
    light[top : top + height, left : left + width] = cv2.resize(
        weights, (width, height), interpolation=cv2.INTER_CUBIC
    )
    share = DIM + (1 - DIM) * np.clip(light, 0, 1)[..., None]
    return draw_classification(np.asarray(np.rint(larger * share), np.uint8), classification)


def _check(image_rgb_u8: NDArray[np.uint8]) -> None:
    if image_rgb_u8.ndim != 3 or image_rgb_u8.shape[2] != 3 or image_rgb_u8.dtype != np.uint8:
        raise PictureError(
            "a picture to draw on must be uint8 [height, width, 3], "
            f"but is {image_rgb_u8.dtype} {list(image_rgb_u8.shape)}."
        )


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
