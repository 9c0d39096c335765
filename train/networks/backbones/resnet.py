"""Residual networks (He et al. 2016; stride in the 3×3 of the bottleneck)."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, Vanished
from tombola.train.networks.backbones.backbone import Backbone, Stage
from tombola.train.networks.backbones.mobilenet import round_channels
from tombola.train.networks.layers.convolution import ConvBatchNorm

StemName = Literal["small", "large"]


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016, figure 5 left)."""

    expansion: ClassVar[int] = 1
    inner: ClassVar[tuple[str, ...]] = ("hidden",)

    def __init__(self, reads: Axis, writes: Axis, stride: int, *, hidden: Axis) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBatchNorm(reads, hidden, 3, stride=stride, activation=nn.ReLU(inplace=True)),
            ConvBatchNorm(hidden, writes, 3),
        )
        self.shortcut = _shortcut(reads, writes, stride)
        self.activation = nn.ReLU()
        self.inside = (hidden,)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1×1 down, 3×3, 1×1 up by four, and a shortcut (He et al. 2016, figure 5 right)."""

    expansion: ClassVar[int] = 4
    inner: ClassVar[tuple[str, ...]] = ("squeezed", "hidden")

    def __init__(self, reads: Axis, writes: Axis, stride: int, *, squeezed: Axis, hidden: Axis) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBatchNorm(reads, squeezed, 1, activation=nn.ReLU(inplace=True)),
            ConvBatchNorm(squeezed, hidden, 3, stride=stride, activation=nn.ReLU(inplace=True)),
            ConvBatchNorm(hidden, writes, 1),
        )
        self.shortcut = _shortcut(reads, writes, stride)
        self.activation = nn.ReLU()
        self.inside = (squeezed, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))  # type: ignore[no-any-return]


def _shortcut(reads: Axis, writes: Axis, stride: int) -> nn.Module:
    return nn.Identity() if writes is reads else ConvBatchNorm(reads, writes, 1, stride=stride)


def large_stem(reads: Axis, writes: Axis) -> nn.Sequential:
    """The stem for photos: float [B, reads, H, W] -> [B, writes, H/4, W/4]."""
    return nn.Sequential(
        ConvBatchNorm(reads, writes, 7, stride=2, activation=nn.ReLU(inplace=True)),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def small_stem(reads: Axis, writes: Axis) -> nn.Sequential:
    """The stem for pictures of 28 to 64 pixels: float [B, reads, H, W] -> [B, writes, H, W]."""
    return nn.Sequential(ConvBatchNorm(reads, writes, 3, activation=nn.ReLU(inplace=True)))


def resnet(
    block: type[BasicBlock] | type[Bottleneck],
    repeats: tuple[int, ...],
    picture: Axis,
    axes: Axes,
    *,
    strides: tuple[int, ...] | None = (8, 16, 32),
    first: int = 64,
    width: float = 1.0,
    stem: StemName = "large",
) -> Backbone:
    """A residual backbone with fresh weights, up to the last of `strides`: `repeats` blocks a stage, of
    first · 2^n channels inside."""
    channels = round_channels(first * width)
    reads = axes.new("stem", channels)
    stages = [
        Stage(large_stem(picture, reads), 4, reads)
        if stem == "large"
        else Stage(small_stem(picture, reads), 1, reads)
    ]
    for index, repeat in enumerate(repeats):
        first_stride = 2 if index > 0 else 1
        stride = stages[-1].stride * first_stride
        if strides and stride > max(strides):
            break
        name = f"stages.{len(stages)}"
        inner_channels = round_channels(first * 2**index * width)
        out_channels = inner_channels * block.expansion
        # What an identity joins is one axis; the plan alone decides where the shortcut is one.
        joined = first_stride == 1 and out_channels == channels
        writes = reads if joined else axes.new(name, out_channels)
        blocks = nn.Sequential()
        for number in range(repeat):
            inner = {
                part: axes.new(f"{name}.{number}.{part}", inner_channels, may_vanish=writes is reads)
                for part in block.inner
            }
            blocks.append(
                block(reads, writes, first_stride if number == 0 else 1, **inner)
                if all(axis.width for axis in inner.values())
                else Vanished(tuple(inner.values()))
            )
            reads = writes
        channels = out_channels
        stages.append(Stage(blocks, stride, writes))
    return Backbone(stages, strides)
