"""Twice the sides: a transposed convolution, batch norm and an activation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Channels, Layouts, entries
from tombola.train.networks.layers.norm import MapNorm

KERNEL, STRIDE, PADDING = 4, 2, 1  # every cell of the output is made of four: no checkerboard of its own


class Transposed(nn.Module):
    """4×4, stride 2, without bias: float [B, reads, H, W] -> [B, writes, 2·H, 2·W]. The kernel is [writes,
    reads, 4, 4], as a convolution has it."""

    def __init__(self, reads: Channels, writes: Channels) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(entries(writes), entries(reads), KERNEL, KERNEL))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)  # as PyTorch's own layers begin
        self.layouts: Layouts = {"weight": (writes, reads, None, None)}

    def forward(self, x: Tensor) -> Tensor:
        return transpose_convolve(x, self.weight.transpose(0, 1), None)


class TransposedBatchNorm(nn.Module):
    """Transposed convolution, batch norm (Ioffe & Szegedy 2015), activation."""

    def __init__(self, reads: Channels, writes: Channels, *, activation: nn.Module) -> None:
        super().__init__()
        self.conv = Transposed(reads, writes)
        self.norm = MapNorm(writes)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        if self.norm.training:
            return self.activation(self.norm(self.conv(x)))  # type: ignore[no-any-return]
        weight, bias = self.folded()
        return self.activation(transpose_convolve(x, weight.transpose(0, 1), bias))  # type: ignore[no-any-return]

    def folded(self) -> tuple[Tensor, Tensor]:
        """The kernel [out, in, 4, 4] and bias [out] that equal convolution and norm at test time."""
        assert self.norm.running_var is not None
        assert self.norm.running_mean is not None
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return self.conv.weight * scale[:, None, None, None], self.norm.bias - self.norm.running_mean * scale


def transpose_convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The transposed convolution with a kernel [in, out, 4, 4] and a bias [out]."""
    return F.conv_transpose2d(x, weight, bias, STRIDE, PADDING)
