"""Fully connected layers: linear, batch norm or a bias, activation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axis, Channels, Layouts, entries
from tombola.train.networks.layers.activations import ActivationName, build_activation, units_before
from tombola.train.networks.layers.norm import VectorNorm


class Linear(nn.Linear):
    """A linear layer from the channels it reads to those it writes."""

    def __init__(self, reads: Channels, writes: Channels, *, bias: bool = True) -> None:
        super().__init__(entries(reads), entries(writes), bias=bias)
        self.layouts: Layouts = {"weight": (writes, reads), "bias": (writes,)}

    def forward(self, x: Tensor) -> Tensor:
        """float [..., reads] -> [..., writes]."""
        if x.ndim <= 2:
            return super().forward(x)
        # As rows, which are exported as one product with the weight as it is, not with a copy turned around.
        return super().forward(x.flatten(0, -2)).unflatten(0, x.shape[:-1])  # type: ignore[no-any-return]


class LinearBatchNorm(nn.Module):
    """Linear without bias, batch norm (Ioffe & Szegedy 2015), activation: float [B, in] -> [B, out]."""

    def __init__(self, reads: Channels, writes: Channels, *, activation: nn.Module) -> None:
        super().__init__()
        self.linear = Linear(reads, writes, bias=False)
        self.norm = VectorNorm(writes)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        if self.norm.training:
            return self.activation(self.norm(self.linear(x)))  # type: ignore[no-any-return]
        weight, bias = self.folded()
        return self.activation(F.linear(x, weight, bias))  # type: ignore[no-any-return]

    def folded(self) -> tuple[Tensor, Tensor]:
        """The weight [out, in] and bias [out] that equal linear layer and norm at test time."""
        assert self.norm.running_var is not None
        assert self.norm.running_mean is not None
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return self.linear.weight * scale[:, None], self.norm.bias - self.norm.running_mean * scale


def dense_layer(
    reads: Channels, writes: Axis, *, activation: ActivationName, batch_norm: bool, dropout: float
) -> nn.Sequential:
    """A hidden layer, float [B, reads] -> [B, writes]; dropout is the share of its outputs set to 0."""
    units = units_before(activation, writes)
    layers: list[nn.Module] = (
        [LinearBatchNorm(reads, units, activation=build_activation(activation))]
        if batch_norm
        else [Linear(reads, units), build_activation(activation)]
    )
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)
