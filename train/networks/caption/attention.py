"""Attention: how much each cell of a picture matters for the next word."""

from typing import Literal

import torch
from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.layers.dense_layer import Linear

AttentionName = Literal["none", "dot", "general", "reduced", "additive"]


class Attention(nn.Module):
    """Weights of cells for a query: s is the query, h_i a cell.

    additive: vᵀ tanh(W s + V h_i) (Bahdanau et al. 2015). dot: sᵀ h_i. general: sᵀ W h_i (Luong et al. 2015,
    section 3.1). reduced: (U s)ᵀ (V h_i), a general one of the rank `units`. none: all alike.
    """

    def __init__(self, name: AttentionName, query: Axis, cell: Axis, units: int, axes: Axes) -> None:
        super().__init__()
        self.name = name
        if name == "dot" and query.width != cell.width:
            raise RecipeError(
                f'attention = "dot" needs as many decoder.units ({query.width}) as features ({cell.width}); '
                'make them equal, or take "general"'
            )
        self.query: nn.Module = nn.Identity()
        self.key: nn.Module = nn.Identity()
        if name in ("additive", "reduced"):
            inner = axes.new("decoder.attention", units)
            self.query = Linear(query, inner)
            self.key = Linear(cell, inner)
        elif name == "general":
            self.query = Linear(query, cell)
        if name == "additive":
            self.score = Linear(inner, Axis("score", 1, pinned=True), bias=False)

    def keys(self, cells: Tensor) -> Tensor:
        """What is the same for every word: float [P, cells, C] -> [P, cells, A]."""
        return self.key(cells)  # type: ignore[no-any-return]

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """query float [P, N, S], keys [P, cells, A] -> weights [P, N, cells], each row adding up to 1."""
        if self.name == "none":
            shape = (query.shape[0], query.shape[1], keys.shape[1])
            return query.new_full(shape, 1.0 / keys.shape[1])
        asked = self.query(query)
        if self.name == "additive":
            energies = self.score(torch.tanh(asked[:, :, None] + keys[:, None]))[..., 0]
        else:
            energies = asked @ keys.transpose(1, 2)
        return energies.softmax(-1)  # type: ignore[no-any-return]
