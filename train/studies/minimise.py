"""The training of a network so small that it needs no run folder."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def minimise(
    network: nn.Module, loss: Callable[[Tensor], Tensor], count: int, *, steps: int, batch: int, rate: float
) -> None:
    """So many steps of Adam, at a rate that falls to 0 in a straight line, on random batches of `count`
    pictures, whose places int64 [batch] `loss` is given; the network is in eval mode behind."""
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
        optimizer.zero_grad()
        loss(torch.randint(count, (batch,))).backward()
        optimizer.step()
    network.eval()
