"""Inverted-residual backbones: MobileNetV2 (Sandler et al. 2018) and EfficientNet-Lite (Tan & Le 2019,
without squeeze-and-excite and with ReLU6). Both are a stem and stages of the same block."""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, Vanished
from tombola.train.networks.backbones.backbone import Backbone, Stage
from tombola.train.networks.layers.convolution import ConvBatchNorm


@dataclass(frozen=True)
class StagePlan:
    """`repeats` blocks of `channels` outputs; the first has `stride`, all widen inside by `expansion`."""

    repeats: int
    kernel_size: int
    stride: int
    expansion: int
    channels: int


MOBILENET_V2 = (
    StagePlan(1, 3, 1, 1, 16),
    StagePlan(2, 3, 2, 6, 24),
    StagePlan(3, 3, 2, 6, 32),
    StagePlan(4, 3, 2, 6, 64),
    StagePlan(3, 3, 1, 6, 96),
    StagePlan(3, 3, 2, 6, 160),
    StagePlan(1, 3, 1, 6, 320),
)
EFFICIENTNET_LITE = (
    StagePlan(1, 3, 1, 1, 16),
    StagePlan(2, 3, 2, 6, 24),
    StagePlan(2, 5, 2, 6, 40),
    StagePlan(3, 3, 2, 6, 80),
    StagePlan(3, 5, 1, 6, 112),
    StagePlan(4, 5, 2, 6, 192),
    StagePlan(1, 3, 1, 6, 320),
)


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, never more than 10 % below `channels` (Sandler et al.'s rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def norm_eps_of(*, lite: bool) -> float:
    """The epsilon that public weights were trained with: TensorFlow's for EfficientNet-Lite."""
    return 1e-3 if lite else 1e-5


class InvertedResidual(nn.Module):
    """1×1 expansion to `hidden`, depthwise k×k, linear 1×1 projection; with a shortcut where it writes to the
    axis that it reads, and no expansion where `hidden` is that axis."""

    def __init__(
        self, reads: Axis, hidden: Axis, writes: Axis, *, kernel_size: int, stride: int, lite: bool
    ) -> None:
        super().__init__()
        norm_eps = norm_eps_of(lite=lite)
        layers: list[nn.Module] = []
        if hidden is not reads:
            layers.append(
                ConvBatchNorm(reads, hidden, 1, activation=nn.ReLU6(inplace=True), norm_eps=norm_eps)
            )
        layers += [
            ConvBatchNorm(
                hidden,
                hidden,
                kernel_size,
                stride=stride,
                depthwise=True,
                activation=nn.ReLU6(inplace=True),
                norm_eps=norm_eps,
                same_padding=lite,
            ),
            ConvBatchNorm(hidden, writes, 1, norm_eps=norm_eps),
        ]
        self.layers = nn.Sequential(*layers)
        self.has_shortcut = writes is reads
        self.inside = (hidden,)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.has_shortcut else out


def last_convolution(reads: Axis, axes: Axes, *, width: float, lite: bool) -> tuple[ConvBatchNorm, Axis]:
    """The 1×1 convolution before the mean that a classifier takes, and the axis that it writes; a narrow
    network has one as wide as the full one."""
    writes = axes.new("last", 1280 if lite else round_channels(1280 * max(1.0, width)))
    activation, norm_eps = nn.ReLU6(inplace=True), norm_eps_of(lite=lite)
    return ConvBatchNorm(reads, writes, 1, activation=activation, norm_eps=norm_eps), writes


def inverted_residual_net(
    plan: tuple[StagePlan, ...],
    picture: Axis,
    axes: Axes,
    *,
    strides: tuple[int, ...] | None = (8, 16, 32),
    width: float = 1.0,
    depth: float = 1.0,
    lite: bool = False,
) -> Backbone:
    """A backbone of inverted residuals with fresh weights, up to the last of `strides`.

    The stem has stride 2. Pictures have sides of at least the largest stride.
    """
    # EfficientNet-Lite never scales its stem, nor how often the first and last stage repeat.
    channels = 32 if lite else round_channels(32 * width)
    reads = axes.new("stem", channels)
    stem = ConvBatchNorm(
        picture,
        reads,
        3,
        stride=2,
        activation=nn.ReLU6(inplace=True),
        norm_eps=norm_eps_of(lite=lite),
        same_padding=lite,
    )
    stages = [Stage(stem, 2, reads)]
    for index, stage in enumerate(plan):
        stride = stages[-1].stride * stage.stride
        if strides and stride > max(strides):
            break
        outer = index in (0, len(plan) - 1)
        repeats = stage.repeats if outer else math.ceil(stage.repeats * depth)
        blocks = nn.Sequential()
        for repeat in range(repeats):
            name = f"stages.{len(stages)}"
            block_stride = stage.stride if repeat == 0 else 1
            out_channels = round_channels(stage.channels * width)
            # What a shortcut joins is one axis; the plan alone decides where there is one.
            joined = block_stride == 1 and out_channels == channels
            writes = reads if joined else axes.new(name, out_channels)
            hidden = (
                reads
                if stage.expansion == 1
                else axes.new(f"{name}.{repeat}.hidden", channels * stage.expansion, may_vanish=joined)
            )
            blocks.append(
                InvertedResidual(
                    reads,
                    hidden,
                    writes,
                    kernel_size=stage.kernel_size,
                    stride=block_stride,
                    lite=lite,
                )
                if hidden.width
                else Vanished((hidden,))
            )
            reads, channels = writes, out_channels
        stages.append(Stage(blocks, stride, reads))
    return Backbone(stages, strides)
