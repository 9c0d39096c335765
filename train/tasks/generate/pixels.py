"""Black and white pictures of grey ones, drawn anew each time ("dynamic binarisation")."""

import torch
from torch import Tensor


def drawn_pixels(images: Tensor, noise: Tensor) -> Tensor:
    """0 or 1 for each level of images [B, c, h, w] of 0..1, 1 with that probability, by as many standard
    normal numbers [B, c·h·w]."""
    # A normal number is below its quantile as often as that is probable.
    white: Tensor = torch.special.ndtr(noise) < images.flatten(1)
    return white.to(images.dtype).view_as(images)
