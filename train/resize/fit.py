"""What a network sees of a picture: halvings, then one bilinear step into its canvas.

The arithmetic on sizes is on whole numbers that `torch.export` can follow too, so that a graph and a loader
process cut and scale alike.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tombola.runtime.pictures.shrink import Shrink, halve
from tombola.train.resize.bilinear import bilinear

Fit = Literal["crop", "stretch"]


def fit_inside(image_rgb_u8: NDArray[np.uint8], canvas_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the whole picture, uint8 [h, w, 3], as large as the canvas allows."""
    size_hw = image_rgb_u8.shape[0], image_rgb_u8.shape[1]
    halved = halve(image_rgb_u8, Shrink(inside_hw(*size_hw, canvas_hw), "longer").halvings(size_hw))
    return bilinear(halved, *inside_hw(halved.shape[0], halved.shape[1], canvas_hw))


def fill(image_rgb_u8: NDArray[np.uint8], size_hw: tuple[int, int], fit: Fit) -> NDArray[np.uint8]:
    """Return uint8 [size_hw, 3] filled by the largest part in the middle that has its shape ("crop"), or by
    the whole picture ("stretch"); a picture that has the size comes back as it is."""
    if image_rgb_u8.shape[:2] == size_hw:
        return image_rgb_u8
    halved = halve(image_rgb_u8, Shrink(size_hw, "both").halvings(image_rgb_u8.shape[:2]))
    if fit == "crop":
        top, left, height, width = middle(halved.shape[0], halved.shape[1], size_hw)
        halved = halved[top : top + height, left : left + width]
    return np.ascontiguousarray(bilinear(halved, *size_hw))


def inside_hw(height: int, width: int, canvas_hw: tuple[int, int]) -> tuple[int, int]:
    """The largest size, at least 1 px a side, that keeps the picture's shape and fits the canvas."""
    new_h = torch.sym_min(canvas_hw[0], (height * canvas_hw[1] + width // 2) // width)
    new_w = torch.sym_min(canvas_hw[1], (width * canvas_hw[0] + height // 2) // height)
    return torch.sym_max(1, new_h), torch.sym_max(1, new_w)


def middle(height: int, width: int, size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height and width of the largest part in the middle that has the shape of `size_hw`."""
    part_h = torch.sym_min(height, torch.sym_max(1, width * size_hw[0] // size_hw[1]))
    part_w = torch.sym_min(width, torch.sym_max(1, height * size_hw[1] // size_hw[0]))
    return (height - part_h) // 2, (width - part_w) // 2, part_h, part_w
