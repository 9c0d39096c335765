"""One vector for many cells: their mean, weighed by how much each matters."""

from typing import Literal

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axis, Channels
from tombola.train.networks.layers.dense_layer import Linear

PoolingName = Literal["mean", "attention"]
UNITS = 64


class AttentionPool(nn.Module):
    """The mean of cells h, each weighed by softmax(vᵀ tanh(W h)) over all of them (Ilse et al. 2018,
    equations 7 and 8); W leads to the channels of `hidden`."""

    def __init__(self, reads: Channels, hidden: Axis) -> None:
        super().__init__()
        self.key = Linear(reads, hidden)
        self.score = Linear(hidden, Axis("score", 1, pinned=True), bias=False)

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """float [B, cells, C] -> [B, C] and the weights [B, cells], each row adding up to 1."""
        weights = self.score(torch.tanh(self.key(cells)))[..., 0].softmax(-1)
        return (weights[:, None] @ cells)[:, 0], weights
