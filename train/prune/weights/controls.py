"""Masks and weights for the controls that tell a winning ticket from a lucky size."""

from collections.abc import Mapping

import torch
from torch import Tensor

from tombola.train.prune.weights.criteria import prune_smallest
from tombola.train.prune.weights.mask import Mask


def random_mask(like: Mask, seed: int) -> Mask:
    """A mask with as many living weights in each tensor as `like`, at random places."""
    generator = torch.Generator().manual_seed(seed)
    living = {}
    for name, tensor in like.items():
        places = torch.randperm(tensor.numel(), generator=generator)[: int(tensor.sum())]
        flat = torch.zeros(tensor.numel(), dtype=torch.bool)
        flat[places] = True
        living[name] = flat.view_as(tensor)
    return Mask(living)


def magnitude_mask(weights: Mapping[str, Tensor], like: Mask) -> Mask:
    """The mask of the largest |w| in each tensor, as many as live in `like`; the rest of `weights` is not
    asked."""
    like.check_fits(weights, "the network")
    # The factor on a share of a half makes each tensor's own.
    rates = {name: 2 * sparsity for name, sparsity in like.sparsities().items()}
    return prune_smallest(weights, Mask.full({name: weights[name] for name in like}), 0.5, rates=rates)


def line_between(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """(1 - share)·first + share·second for floats, first's values for counters (Frankle et al. 2020)."""
    return {
        name: torch.lerp(tensor, second[name], share) if tensor.is_floating_point() else tensor.clone()
        for name, tensor in first.items()
    }


def error_barrier(errors: list[float]) -> float:
    """How far the error on the line between two networks rises above the mean of its ends.

    errors: at equal steps from one end to the other (Frankle et al. 2020, section 2).
    Near 0 the two lie in one basin.
    """
    return max(errors) - (errors[0] + errors[-1]) / 2
