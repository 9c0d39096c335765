"""DenseNet-BC (Huang et al. 2017): each layer sees the maps of all layers before it in its stage."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes, Axis, Layout, Part
from tombola.train.networks.backbones.resnet import StemName, large_stem
from tombola.train.networks.classify.mlp import DropoutShare, Width
from tombola.train.networks.layers.convolution import Conv, ConvBatchNorm
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.initialise import InitialisationName, initialise
from tombola.train.networks.layers.norm import MapNorm
from tombola.train.recipe.recipe import Section

# Channels of the 1×1 convolution for one that a layer adds (Huang et al. 2017, section 3).
_BOTTLENECK = 4


class DenseNetSettings(Section):
    """`blocks` layers a stage, each adding `growth` channels; between stages the sides are halved and the
    channels cut to the share `compression`. dropout acts after each 3×3 convolution.
    initialisation draws the first weights.

    The default is DenseNet-BC of depth 100 for pictures of 32 pixels. DenseNet-121 for photos: blocks =
    [6, 12, 24, 16], growth = 32, stem = "large".
    """

    kind: Literal["densenet"] = "densenet"
    blocks: tuple[Width, ...] = Field(default=(16, 16, 16), min_length=1)
    growth: Width = 12
    compression: float = Field(default=0.5, gt=0, le=1)
    stem: StemName = "small"
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "he"


class DenseLayer(nn.Module):
    """Norm, ReLU, 1×1, norm, ReLU, 3×3, beside its input: [B, reads, H, W] -> [B, reads + adds, H, W]."""

    def __init__(self, reads: Layout, squeezed: Axis, adds: Axis, dropout: float) -> None:
        super().__init__()
        self.norm = MapNorm(reads)
        self.squeeze = ConvBatchNorm(reads, squeezed, 1, activation=nn.ReLU(inplace=True))
        self.conv = Conv(squeezed, adds, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        new = self.dropout(self.conv(self.squeeze(self.norm(x).relu())))
        return torch.cat([x, new], dim=1)


class Transition(nn.Module):
    """Norm, ReLU, 1×1, 2×2 average: float [B, reads, H, W] -> [B, writes, H // 2, W // 2]."""

    def __init__(self, reads: Layout, writes: Axis) -> None:
        super().__init__()
        self.norm = MapNorm(reads)
        self.conv = Conv(reads, writes, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.conv(self.norm(x).relu()))  # type: ignore[no-any-return]


class DenseNet(nn.Module):
    """Stem, stages, the mean of each channel, logits: float [B, channels, h, w] -> [B, n_classes]."""

    def __init__(
        self,
        settings: DenseNetSettings,
        *,
        channels: int,
        size_hw: tuple[int, int],
        n_classes: int,
        axes: Axes,
    ) -> None:
        super().__init__()
        _check_size(settings, size_hw)
        width = 2 * settings.growth
        picture, first = Axis("picture", channels, pinned=True), axes.new("stem", width)
        if settings.stem == "large":
            self.stem = large_stem(picture, first)
        else:
            self.stem = nn.Sequential(Conv(picture, first, 3, padding=1, bias=False))
        reads: Layout = (Part(first),)
        self.stages = nn.Sequential()
        for index, repeats in enumerate(settings.blocks):
            stage = nn.Sequential()
            for number in range(repeats):
                name = f"stages.{index}.{number}"
                squeezed = axes.new(f"{name}.squeezed", _BOTTLENECK * settings.growth)
                adds = axes.new(name, settings.growth)
                stage.append(DenseLayer(reads, squeezed, adds, settings.dropout))
                reads, width = (*reads, Part(adds)), width + settings.growth
            if index < len(settings.blocks) - 1:
                width = max(1, int(width * settings.compression))
                kept = axes.new(f"stages.{index}.transition", width)
                stage.add_module("transition", Transition(reads, kept))
                reads = (Part(kept),)
            self.stages.append(stage)
        self.norm = MapNorm(reads)
        self.head = Linear(reads, Axis("logits", n_classes, pinned=True))
        initialise(self, settings.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.stages(self.stem(images))).relu()
        return self.head(maps.mean((2, 3)))  # type: ignore[no-any-return]


def _check_size(settings: DenseNetSettings, size_hw: tuple[int, int]) -> None:
    shrink = 2 ** (len(settings.blocks) - 1) * (4 if settings.stem == "large" else 1)
    if min(size_hw) < shrink:
        raise RecipeError(
            f"network.blocks = {list(settings.blocks)} with stem = {settings.stem!r} needs pictures of at "
            f"least {shrink} pixels a side, picture.size is {list(size_hw)}; take fewer blocks, the small "
            "stem or larger pictures"
        )
