"""What keeps weights small: penalties in the loss, and a bound on their norms.

Both mean the weights of linear and convolution layers alone; biases and norms are left free.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def penalties(network: nn.Module, *, l1: float, l2: float) -> dict[str, Tensor]:
    """Parts of the loss, float32 []: l1 · Σ|w| and l2 · ½ Σw²; a part with factor 0 is left out."""
    parts = {}
    if l1 > 0:
        parts["l1"] = l1 * torch.stack([weight.abs().sum() for weight in weights(network)]).sum()
    if l2 > 0:
        parts["l2"] = l2 / 2 * torch.stack([weight.square().sum() for weight in weights(network)]).sum()
    return parts


def limit_norms(network: nn.Module, bound: float) -> None:
    """Scale down, in place, the weights that lead into a unit or channel where their norm is over `bound`
    (Srivastava et al. 2014, section 5.1)."""
    with torch.no_grad():
        for weight in weights(network):
            weight.copy_(torch.renorm(weight, p=2, dim=0, maxnorm=bound))


def weights(network: nn.Module) -> Iterator[nn.Parameter]:
    """The trained parameters with two dimensions or more."""
    return (p for p in network.parameters() if p.requires_grad and p.ndim > 1)
