"""DenseNet-BC (Huang et al. 2017): each layer sees the maps of all layers before it in its stage."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.backbones.resnet import large_stem
from tombola.train.networks.classify.mlp import DropoutShare, Width
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.initialise import InitialisationName, initialise
from tombola.train.recipe.recipe import Section

# Channels of the 1×1 convolution for one that a layer adds (Huang et al. 2017, section 3).
_BOTTLENECK = 4


class DenseNetSettings(Section):
    """`blocks` layers a stage, each adding `growth` channels; between stages the sides are halved and the
    channels cut to the share `compression`. dropout acts after each 3×3 convolution.

    The default is DenseNet-BC of depth 100 for pictures of 32 pixels. DenseNet-121 for photos: blocks =
    [6, 12, 24, 16], growth = 32, stem = "large".
    """

    kind: Literal["densenet"] = "densenet"
    blocks: tuple[Width, ...] = Field(default=(16, 16, 16), min_length=1)
    growth: Width = 12
    compression: float = Field(default=0.5, gt=0, le=1)
    stem: Literal["small", "large"] = "small"
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "he"


class DenseLayer(nn.Module):
    """Norm, ReLU, 1×1, norm, ReLU, 3×3, beside its input: float [B, C, H, W] -> [B, C + growth, H, W]."""

    def __init__(self, in_channels: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.squeeze = ConvBatchNorm(in_channels, _BOTTLENECK * growth, 1, activation=nn.ReLU(inplace=True))
        self.conv = nn.Conv2d(_BOTTLENECK * growth, growth, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        new = self.dropout(self.conv(self.squeeze(self.norm(x).relu())))
        return torch.cat([x, new], dim=1)


class Transition(nn.Module):
    """Norm, ReLU, 1×1, 2×2 average: float [B, in_channels, H, W] -> [B, out_channels, H // 2, W // 2]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.conv(self.norm(x).relu()))  # type: ignore[no-any-return]


class DenseNet(nn.Module):
    """Stem, stages, the mean of each channel, logits: float [B, channels, h, w] -> [B, n_classes]."""

    def __init__(
        self, settings: DenseNetSettings, *, channels: int, size_hw: tuple[int, int], n_classes: int
    ) -> None:
        super().__init__()
        _check_size(settings, size_hw)
        width = 2 * settings.growth
        if settings.stem == "large":
            self.stem = large_stem(channels, width)
        else:
            self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False))
        self.stages = nn.Sequential()
        for index, repeats in enumerate(settings.blocks):
            stage = nn.Sequential()
            for _ in range(repeats):
                stage.append(DenseLayer(width, settings.growth, settings.dropout))
                width += settings.growth
            if index < len(settings.blocks) - 1:
                kept = max(1, int(width * settings.compression))
                stage.add_module("transition", Transition(width, kept))
                width = kept
            self.stages.append(stage)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, n_classes)
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
