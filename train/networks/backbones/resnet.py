"""ResNet-18, -34 and -50 as backbones (He et al. 2016, table 1; stride in the 3×3 of the bottleneck)."""

from typing import ClassVar

from torch import Tensor, nn

from tombola.train.networks.backbones.mobilenet import round_channels
from tombola.train.networks.layers.convolution import ConvBatchNorm


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016, figure 5 left)."""

    expansion: ClassVar[int] = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBatchNorm(in_channels, channels, 3, stride=stride, activation=nn.ReLU(inplace=True)),
            ConvBatchNorm(channels, channels, 3),
        )
        self.shortcut = _shortcut(in_channels, channels, stride)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1×1 down, 3×3, 1×1 up by four, and a shortcut (He et al. 2016, figure 5 right)."""

    expansion: ClassVar[int] = 4

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBatchNorm(in_channels, channels, 1, activation=nn.ReLU(inplace=True)),
            ConvBatchNorm(channels, channels, 3, stride=stride, activation=nn.ReLU(inplace=True)),
            ConvBatchNorm(channels, channels * self.expansion, 1),
        )
        self.shortcut = _shortcut(in_channels, channels * self.expansion, stride)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))  # type: ignore[no-any-return]


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return ConvBatchNorm(in_channels, out_channels, 1, stride=stride)


def large_stem(in_channels: int, channels: int) -> nn.Sequential:
    """The stem for photos: float [B, in_channels, H, W] -> [B, channels, H/4, W/4]."""
    return nn.Sequential(
        ConvBatchNorm(in_channels, channels, 7, stride=2, activation=nn.ReLU(inplace=True)),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def residual_stage(
    block: type[BasicBlock] | type[Bottleneck], in_channels: int, channels: int, repeats: int, *, stride: int
) -> nn.Sequential:
    """`repeats` blocks that end in channels * block.expansion; the first has the stride."""
    blocks: list[nn.Module] = [block(in_channels, channels, stride)]
    blocks += [block(channels * block.expansion, channels, 1) for _ in range(repeats - 1)]
    return nn.Sequential(*blocks)


class ResNet(nn.Module):
    """A residual backbone that returns the maps of the asked strides, and ends there.

    Input float [B, 3, H, W] with H and W multiples of 32. `stages[0]` is the stem.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        repeats: tuple[int, ...],
        *,
        strides: tuple[int, ...] = (8, 16, 32),
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.strides = strides
        channels = round_channels(64 * width)
        self.stages = nn.ModuleList([large_stem(3, channels)])
        self.channels: tuple[int, ...] = ()
        for index, repeat in enumerate(repeats):
            stride = 4 * 2**index
            if stride > max(strides):
                break
            inner = round_channels(64 * 2**index * width)
            self.stages.append(residual_stage(block, channels, inner, repeat, stride=2 if index > 0 else 1))
            channels = inner * block.expansion
            if stride in strides:
                self.channels += (channels,)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = []
        x = images
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if 2 ** (index + 1) in self.strides and index > 0:
                maps.append(x)
        return maps
