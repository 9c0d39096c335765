"""From the mask of a round to that of the next."""

from collections.abc import Mapping

from torch import Tensor, nn

from tombola.train.prune.weights.criteria import prune_smallest
from tombola.train.prune.weights.mask import Mask
from tombola.train.prune.weights.prunable import prunable
from tombola.train.prune.weights.settings import PruneSettings


def next_mask(
    network: nn.Module,
    trained: Mapping[str, Tensor],
    before: Mask | None,
    share: float,
    settings: PruneSettings,
) -> Mask:
    """Take `share` (0 … 1) of what lives under `before`, by the size of the trained weights; half of it in
    the layers of half rate. None: all of the network's prunable weights live. Raises RecipeError."""
    names = prunable(network, leave_out=settings.leave_out, biases=settings.biases).keys()
    halved = names - prunable(network, leave_out=(*settings.leave_out, *settings.half_rate)).keys()
    weights = {name: trained[name] for name in names}
    mask = Mask.full(weights) if before is None else before
    rates = dict.fromkeys(halved, 0.5) if settings.half_rate else {}
    return prune_smallest(weights, mask, share, scope=settings.scope, rates=rates)
