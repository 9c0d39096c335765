"""The code of few numbers that a picture has by a dictionary of patterns (Kavukcuoglu et al. 2008)."""

import torch
from torch import Tensor

STEPS = 30


@torch.no_grad()
def sparse_code(
    levels: Tensor,
    patterns: Tensor,
    predicted: Tensor,
    *,
    sparse: float,
    predictive: float,
    steps: int = STEPS,
) -> Tensor:
    """The h [B, d] that minimises ‖x - D h‖² + sparse·Σ|h| + predictive·‖h - f‖², nearly.

    levels: x, float [B, n]. patterns: D [n, d]. predicted: f [B, d], from which FISTA (Beck & Teboulle 2009)
    goes so many steps.
    """
    gram, seen = patterns.T @ patterns, levels @ patterns + predictive * predicted
    steepest = 2 * (torch.linalg.eigvalsh(gram)[-1] + predictive)  # of the gradient of the squares
    code = ahead = predicted
    pace = 1.0
    for _ in range(steps):
        moved = ahead - 2 * (ahead @ gram + predictive * ahead - seen) / steepest
        before, code = code, moved.sign() * (moved.abs() - sparse / steepest).clamp(min=0)
        pace, last = (1 + (1 + 4 * pace * pace) ** 0.5) / 2, pace
        ahead = code + (last - 1) / pace * (code - before)
    return code
