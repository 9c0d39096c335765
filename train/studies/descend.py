"""The training of a study's small networks."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

RATE, CLIP = 3e-3, 1.0
WARM_UP = 50


def descend(network: nn.Module, loss_of: Callable[[], Tensor], steps: int) -> None:
    """`steps` steps of Adam (Kingma & Ba 2015) down `loss_of`, which draws its own batch. The rate rises over
    WARM_UP steps and falls to a tenth; gradients are clipped to the norm CLIP. StopIteration from `loss_of`
    ends it before."""
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM_UP) * (1 - 0.9 * step / steps)
        try:
            loss = loss_of()
        except StopIteration:
            return
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
