"""Layers of transformers (Vaswani et al. 2017), each norm before what it is for (Xiong et al. 2020)."""

from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.multi_head import MultiHeadAttention
from tombola.train.networks.layers.norm import LayerNorm


class FeedForward(nn.Module):
    """Norm, a hidden layer of ReLUs, and back: float [..., D] -> [..., D]."""

    def __init__(self, width: Axis, hidden: Axis) -> None:
        super().__init__()
        self.norm = LayerNorm(width)
        self.hidden = Linear(width, hidden)
        self.activation = nn.ReLU()
        self.out = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.activation(self.hidden(self.norm(x))))  # type: ignore[no-any-return]


class SelfLayer(nn.Module):
    """x + attention of x to itself, then x + feed-forward: float [B, T, D] -> [B, T, D]. dropout acts on what
    is added."""

    def __init__(self, name: str, width: Axis, heads: int, hidden: int, dropout: float, axes: Axes) -> None:
        super().__init__()
        self.norm = LayerNorm(width)
        self.attention = MultiHeadAttention(
            width, width, axes.new(f"{name}.heads", heads), width.width // heads
        )
        self.units = FeedForward(width, axes.new(f"{name}.hidden", hidden))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        x = x + self.dropout(self.attention(normed, normed)[0])
        return x + self.dropout(self.units(x))  # type: ignore[no-any-return]
