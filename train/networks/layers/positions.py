"""Positions as sines and cosines (Vaswani et al. 2017, section 3.5): of any length, nothing to learn."""

import math

import torch
from torch import Tensor

# Of the slowest sine, in places.
_LONGEST_WAVE = 10_000.0


def sinusoids(places: Tensor, width: int) -> Tensor:
    """int64 [...] -> float32 [..., width], in -1..1: width / 2 sines of rates from 1 down to 1 / 10,000 a
    place, then their cosines."""
    rates = torch.exp(torch.arange(0, width, 2, device=places.device) * (-math.log(_LONGEST_WAVE) / width))
    angles = places[..., None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], -1)
