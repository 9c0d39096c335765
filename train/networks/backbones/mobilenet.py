"""Inverted-residual backbones: MobileNetV2 (Sandler et al. 2018) and EfficientNet-Lite (Tan & Le 2019,
without squeeze-and-excite and with ReLU6). Both are a stem and stages of the same block."""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from tombola.train.networks.layers.convolution import ConvBatchNorm


@dataclass(frozen=True)
class Stage:
    """`repeats` blocks of `channels` outputs; the first has `stride`, all widen inside by `expansion`."""

    repeats: int
    kernel_size: int
    stride: int
    expansion: int
    channels: int


MOBILENET_V2 = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(3, 3, 2, 6, 32),
    Stage(4, 3, 2, 6, 64),
    Stage(3, 3, 1, 6, 96),
    Stage(3, 3, 2, 6, 160),
    Stage(1, 3, 1, 6, 320),
)
EFFICIENTNET_LITE = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, never more than 10 % below `channels` (Sandler et al.'s rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class InvertedResidual(nn.Module):
    """1×1 expansion, depthwise k×k, linear 1×1 projection, with a shortcut where shapes agree."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        stride: int,
        expansion: int,
        norm_eps: float,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(
                ConvBatchNorm(in_channels, hidden, 1, activation=nn.ReLU6(inplace=True), norm_eps=norm_eps)
            )
        layers += [
            ConvBatchNorm(
                hidden,
                hidden,
                kernel_size,
                stride=stride,
                groups=hidden,
                activation=nn.ReLU6(inplace=True),
                norm_eps=norm_eps,
                same_padding=True,
            ),
            ConvBatchNorm(hidden, out_channels, 1, norm_eps=norm_eps),
        ]
        self.layers = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.has_shortcut else out


class InvertedResidualNet(nn.Module):
    """A backbone of inverted residuals that returns the last maps of the asked strides, and ends there.

    Input float [B, 3, H, W] with H and W multiples of 32. `stages[0]` is the stem; `channels` and `strides`
    describe the returned maps.
    """

    def __init__(
        self,
        plan: tuple[Stage, ...],
        *,
        strides: tuple[int, ...] = (8, 16, 32),
        width: float = 1.0,
        depth: float = 1.0,
        lite: bool = False,
    ) -> None:
        super().__init__()
        self.strides = strides
        norm_eps = 1e-3 if lite else 1e-5
        # EfficientNet-Lite never scales its stem, nor how often the first and last stage repeat.
        stem_channels = 32 if lite else round_channels(32 * width)
        stages: list[nn.Module] = [
            ConvBatchNorm(
                3,
                stem_channels,
                3,
                stride=2,
                activation=nn.ReLU6(inplace=True),
                norm_eps=norm_eps,
                same_padding=True,
            )
        ]
        channels = stem_channels
        channels_by_stride: dict[int, tuple[int, int]] = {}
        stride = 2
        for index, stage in enumerate(plan):
            if stride * stage.stride > max(strides):
                break
            outer = index in (0, len(plan) - 1)
            repeats = stage.repeats if outer else math.ceil(stage.repeats * depth)
            blocks = []
            for repeat in range(repeats):
                out_channels = round_channels(stage.channels * width)
                blocks.append(
                    InvertedResidual(
                        channels,
                        out_channels,
                        kernel_size=stage.kernel_size,
                        stride=stage.stride if repeat == 0 else 1,
                        expansion=stage.expansion,
                        norm_eps=norm_eps,
                    )
                )
                channels = out_channels
            stride *= stage.stride
            stages.append(nn.Sequential(*blocks))
            channels_by_stride[stride] = (len(stages) - 1, channels)
        self.stages = nn.ModuleList(stages)
        self._taken = tuple(channels_by_stride[s][0] for s in self.strides)
        self.channels = tuple(channels_by_stride[s][1] for s in self.strides)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = []
        x = images
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self._taken:
                maps.append(x)
        return maps
