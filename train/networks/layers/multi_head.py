"""Multi-head attention (Vaswani et al. 2017, section 3.2.2)."""

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axis, Part
from tombola.train.networks.layers.dense_layer import Linear


class MultiHeadAttention(nn.Module):
    """Each head h weighs cells for a query by softmax(q_h · k_h / √width) and answers the mean of their v_h
    so weighed; `out` mixes the heads' answers. B is sequences, Q queries and C cells of each.

    The heads are an axis of their own: a head can be cut out whole.
    """

    def __init__(self, queries: Axis, cells: Axis, heads: Axis, head_width: int) -> None:
        super().__init__()
        inner = (Part(heads, head_width),)
        self.heads, self.head_width = heads.width, head_width
        self.query = Linear(queries, inner)
        self.key = Linear(cells, inner)
        self.value = Linear(cells, inner)
        self.out = Linear(inner, queries)

    def forward(self, queries: Tensor, cells: Tensor, allowed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """queries float [B, Q, D], cells [B, C, E], allowed bool [..., Q, C] -> answers [B, Q, D] and weights
        [B, heads, Q, C], of which each row adds up to 1."""
        return self.attend(queries, self.key(cells), self.value(cells), allowed)

    def attend(
        self, queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The same for keys and values [B, C, heads · width] that are known already."""
        q, k, v = (self._by_head(one) for one in (self.query(queries), keys, values))
        energies = q @ k.transpose(2, 3) * self.head_width**-0.5
        if allowed is not None:
            energies = energies.masked_fill(~allowed, -torch.inf)
        weights = energies.softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2)), weights

    def _by_head(self, x: Tensor) -> Tensor:
        """[B, C, heads · width] -> [B, heads, C, width]."""
        return x.unflatten(2, (self.heads, self.head_width)).transpose(1, 2)  # type: ignore[no-any-return]
