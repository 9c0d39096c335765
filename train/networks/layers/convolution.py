"""The block that all our backbones are made of: convolution, batch norm, activation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBatchNorm(nn.Module):
    """Convolution without bias, batch norm (Ioffe & Szegedy 2015), and an activation or none.

    Input float [B, in_channels, H, W], output [B, out_channels, H/stride, W/stride]; with stride 2, H and W
    are even. `same_padding` pads as TensorFlow does (one more at the bottom and right for stride 2), which
    weights that come from there need; otherwise padding is symmetric. Without `padded`, the
    sides lose kernel_size - 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
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
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=0 if self.uneven else before,
            groups=groups,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(out_channels, eps=norm_eps)
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.uneven:
            x = F.pad(x, self.uneven)
        if self.norm.training:
            return self.activation(self.norm(self.conv(x)))  # type: ignore[no-any-return]
        # With fixed statistics the norm is a scale of the kernel: one pass over the picture instead of two.
        weight, bias = self.folded()
        x = F.conv2d(x, weight, bias, self.conv.stride, self.conv.padding, groups=self.conv.groups)
        return self.activation(x)  # type: ignore[no-any-return]

    def folded(self) -> tuple[Tensor, Tensor]:
        """The kernel [out, in / groups, k, k] and bias [out] that equal convolution and norm at test time."""
        assert self.norm.running_var is not None
        assert self.norm.running_mean is not None
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return self.conv.weight * scale[:, None, None, None], self.norm.bias - self.norm.running_mean * scale
