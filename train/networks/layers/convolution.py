"""Convolutions, and the block that all our backbones are made of: convolution, batch norm, activation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Channels, Layouts, entries
from tombola.train.networks.layers.norm import MapNorm


class Conv(nn.Conv2d):
    """A convolution from the channels it reads to those it writes; depthwise, they are the same and each sees
    itself alone."""

    def __init__(
        self,
        reads: Channels,
        writes: Channels,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        depthwise: bool = False,
        bias: bool = True,
    ) -> None:
        assert not depthwise or reads == writes
        super().__init__(
            entries(reads),
            entries(writes),
            kernel_size,
            stride=stride,
            padding=padding,
            groups=entries(writes) if depthwise else 1,
            bias=bias,
        )
        self.layouts: Layouts = {
            "weight": (writes, None if depthwise else reads, None, None),
            "bias": (writes,),
        }

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.weight, self.bias, self)


class ConvBatchNorm(nn.Module):
    """Convolution without bias, batch norm (Ioffe & Szegedy 2015), and an activation or none.

    Input float [B, reads, H, W], output [B, writes, H/stride, W/stride]; with stride 2, H and W
    are even. `same_padding` pads as TensorFlow does (one more at the bottom and right for stride 2), which
    weights that come from there need; otherwise padding is symmetric. Without `padded`, the
    sides lose kernel_size - 1.
    """

    def __init__(
        self,
        reads: Channels,
        writes: Channels,
        kernel_size: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        activation: nn.Module | None = None,
        norm_eps: float = 1e-5,
        same_padding: bool = False,
        padded: bool = True,
    ) -> None:
        super().__init__()
        before = (kernel_size - stride) // 2 if same_padding else kernel_size // 2
        after = kernel_size - stride - before if same_padding else kernel_size // 2
        if not padded:
            before = after = 0
        self.uneven = (before, after, before, after) if before != after else None
        self.conv = Conv(
            reads,
            writes,
            kernel_size,
            stride=stride,
            padding=0 if self.uneven else before,
            depthwise=depthwise,
            bias=False,
        )
        self.norm = MapNorm(writes, eps=norm_eps)
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.uneven:
            x = F.pad(x, self.uneven)
        if self.norm.training:
            return self.activation(self.norm(self.conv(x)))  # type: ignore[no-any-return]
        # With fixed statistics the norm is a scale of the kernel: one pass over the picture instead of two.
        weight, bias = self.folded()
        return self.activation(convolve(x, weight, bias, self.conv))  # type: ignore[no-any-return]

    def folded(self) -> tuple[Tensor, Tensor]:
        """The kernel [out, in / groups, k, k] and bias [out] that equal convolution and norm at test time."""
        assert self.norm.running_var is not None
        assert self.norm.running_mean is not None
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return self.conv.weight * scale[:, None, None, None], self.norm.bias - self.norm.running_mean * scale


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, conv: nn.Conv2d) -> Tensor:
    """`conv` with another kernel and bias.

    Depthwise kernels above 3×3 stay in float32 under autocast: on a CPU their gradient takes four times as
    long in bfloat16.
    """
    if conv.groups == 1 or conv.kernel_size[0] <= 3 or not torch.is_autocast_enabled(x.device.type):
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, groups=conv.groups)
    with torch.autocast(x.device.type, enabled=False):
        bias = None if bias is None else bias.float()
        return F.conv2d(x.float(), weight.float(), bias, conv.stride, conv.padding, groups=conv.groups)
