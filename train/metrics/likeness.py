"""How alike two pictures are: peak signal-to-noise ratio and structural similarity."""

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW = 7  # pixels
LEAST_SQUARE = 1e-10  # PSNR of equal pictures is 100 dB
# Of levels 0..1 (Wang et al. 2004, section III.B).
OF_MEANS, OF_VARIANCES = 0.01**2, 0.03**2


def psnr_db(found: Tensor, wanted: Tensor) -> Tensor:
    """[B] of pictures float [B, c, h, w] of 0..1, in decibels."""
    return -10 * (found - wanted).square().mean((1, 2, 3)).clamp(min=LEAST_SQUARE).log10()


def ssim(found: Tensor, wanted: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), [B] of pictures float [B, c, h, w] of 0..1: the mean over all
    square windows that lie inside the picture, weighted evenly, and over channels; 1 for equal pictures.

    Windows are WINDOW wide, or as wide as a smaller picture allows.
    """
    side = min(WINDOW, *found.shape[2:])
    count = side * side

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, side, stride=1)

    a, b = found.double(), wanted.double()
    mean_a, mean_b = mean(a), mean(b)
    sample = count / max(1, count - 1)
    variances = sample * (mean(a * a) - mean_a.square() + mean(b * b) - mean_b.square())
    covariance = sample * (mean(a * b) - mean_a * mean_b)
    likeness = (2 * mean_a * mean_b + OF_MEANS) * (2 * covariance + OF_VARIANCES)
    likeness = likeness / ((mean_a.square() + mean_b.square() + OF_MEANS) * (variances + OF_VARIANCES))
    return torch.mean(likeness, (1, 2, 3)).to(found.dtype)
