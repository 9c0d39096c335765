"""The exponential moving average of weights (Polyak & Juditsky 1992, in its exponential form)."""

import torch
from torch import Tensor, nn


class WeightAverage:
    """Keeps average = d * average + (1 - d) * weights, d growing to `decay` so that early steps are
    forgotten."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors: dict[str, Tensor] = {
            name: tensor.detach().clone() for name, tensor in network.state_dict().items()
        }

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, tensor in network.state_dict().items():
            average = self.tensors[name]
            if average.is_floating_point():
                average.lerp_(tensor, 1 - decay)
            else:
                average.copy_(tensor)
