"""Spectral normalisation (Miyato et al. 2018): a weight divided by its largest singular value."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tombola.train.networks.axis import Channels
from tombola.train.networks.layers.convolution import Conv
from tombola.train.networks.layers.dense_layer import Linear


class SpectralConv(Conv):
    """A convolution that stretches no direction; its kernel is normed as a matrix [out, in · k · k]."""

    u: Tensor

    def __init__(self, reads: Channels, writes: Channels, kernel_size: int, **settings: Any) -> None:
        super().__init__(reads, writes, kernel_size, **settings)
        self.register_buffer("u", F.normalize(torch.randn(self.out_channels), dim=0))
        self.layouts = {**self.layouts, "u": (writes,)}

    def forward(self, x: Tensor) -> Tensor:
        sigma, self.u = largest_singular_value(self.weight.flatten(1), self.u, learn=self.training)
        return F.conv2d(x, self.weight / sigma, self.bias, self.stride, self.padding)


class SpectralLinear(Linear):
    """A linear layer that stretches no direction."""

    u: Tensor

    def __init__(self, reads: Channels, writes: Channels, *, bias: bool = True) -> None:
        super().__init__(reads, writes, bias=bias)
        self.register_buffer("u", F.normalize(torch.randn(self.out_features), dim=0))
        self.layouts = {**self.layouts, "u": (writes,)}

    def forward(self, x: Tensor) -> Tensor:
        sigma, self.u = largest_singular_value(self.weight, self.u, learn=self.training)
        return F.linear(x, self.weight / sigma, self.bias)


def largest_singular_value(matrix: Tensor, u: Tensor, *, learn: bool) -> tuple[Tensor, Tensor]:
    """The largest singular value float32 [] of a matrix [m, n], and the left vector [m] to go on from.

    One step of the power method from `u`, the vector of the call before; the gradient takes both vectors as
    fixed (Miyato et al. 2018, algorithm 1). Without `learn` u stays.
    """
    with torch.autocast(matrix.device.type, enabled=False):
        with torch.no_grad():
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0) if learn else u
        return u @ (matrix @ v), u
