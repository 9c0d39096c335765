"""Boxes, names and scores on a picture, legible from a thumbnail to 4K."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.pictures.lettering import Rect, Tag, colour_of, draw_tag, ink_on, printable, tag_size
from tombola.runtime.tasks.detect.answer import Detection, Detections


def draw_detections(image_rgb_u8: NDArray[np.uint8], detections: Detections) -> NDArray[np.uint8]:
    """Return a copy of the picture, uint8 [height, width, 3] RGB, with the detections drawn on it.

    Lines and letters grow with the picture. A name that finds no free place inside the picture is left out.
    PictureError where the picture is not the detections' own size.
    """
    height, width = detections.size_hw
    if image_rgb_u8.shape != (height, width, 3) or image_rgb_u8.dtype != np.uint8:
        raise PictureError(
            f"the detections are of a uint8 picture [{height}, {width}, 3], "
            f"but the one to draw on is {image_rgb_u8.dtype} {list(image_rgb_u8.shape)}."
        )
    canvas = np.array(image_rgb_u8, order="C")
    line_px = max(1 if min(height, width) < 200 else 2, round(min(height, width) / 300))
    ranked = list(detections)
    for found in reversed(ranked):  # the best box comes to lie on top
        box = box_pixels(found, detections.size_hw)
        reach = line_px // 2 + 1
        outer = (box.left - reach, box.top - reach), (box.right - 1 + reach, box.bottom - 1 + reach)
        colour = colour_of(found.label)
        cv2.rectangle(canvas, *outer, ink_on(colour), 1)  # sets the line off from a ground of its own colour
        cv2.rectangle(canvas, (box.left, box.top), (box.right - 1, box.bottom - 1), colour, line_px)
    taken: list[Rect] = []
    for found in ranked:
        tag = place_tag(found, detections.size_hw, taken)
        if tag is not None:
            taken.append(tag.rect)
            draw_tag(canvas, tag, colour_of(found.label))
    return canvas


def box_pixels(found: Detection, size_hw: tuple[int, int]) -> Rect:
    """The pixels a box covers inside a picture, at least one."""
    height, width = size_hw
    x1, y1, x2, y2 = found.box_xyxy
    left = int(np.clip(round(x1), 0, width - 1))
    top = int(np.clip(round(y1), 0, height - 1))
    return Rect(left, top, int(np.clip(round(x2), left + 1, width)), int(np.clip(round(y2), top + 1, height)))


def place_tag(found: Detection, size_hw: tuple[int, int], taken: list[Rect]) -> Tag | None:
    """Where to write name and score, inside the picture and off the `taken` places; None where there is none.

    Above the box is tried first, then below it, then inside of it, flush left and flush right; then the same
    without the score.
    """
    height, width = size_hw
    box = box_pixels(found, size_hw)
    name = printable(found.name)
    for text in (f"{name} {found.score:.2f}", name):
        text_width, text_height = tag_size(text, size_hw)
        if text_width > width or text_height > height:
            continue
        for top in (box.top - text_height, box.bottom, box.top, box.bottom - text_height):
            for left in (box.left, box.right - text_width):
                left_inside = min(max(left, 0), width - text_width)
                top_inside = min(max(top, 0), height - text_height)
                rect = Rect(left_inside, top_inside, left_inside + text_width, top_inside + text_height)
                if not any(rect.overlaps(other) for other in taken):
                    return Tag(text, rect)
    return None
