"""Fully connected layers: linear, batch norm or a bias, activation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.layers.activations import ActivationName, build_activation, units_before


class LinearBatchNorm(nn.Module):
    """Linear without bias, batch norm (Ioffe & Szegedy 2015), activation: float [B, in] -> [B, out]."""

    def __init__(self, in_width: int, out_width: int, *, activation: nn.Module) -> None:
        super().__init__()
        self.linear = nn.Linear(in_width, out_width, bias=False)
        self.norm = nn.BatchNorm1d(out_width)
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
    in_width: int, width: int, *, activation: ActivationName, batch_norm: bool, dropout: float
) -> nn.Sequential:
    """A hidden layer, float [B, in_width] -> [B, width]; dropout is the share of its outputs set to 0."""
    units = units_before(activation, width)
    layers: list[nn.Module] = (
        [LinearBatchNorm(in_width, units, activation=build_activation(activation))]
        if batch_norm
        else [nn.Linear(in_width, units), build_activation(activation)]
    )
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)
