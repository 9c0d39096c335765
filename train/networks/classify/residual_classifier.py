"""Residual networks that end in classes (He et al. 2016): for photos and for pictures of 32 pixels."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from tombola.train.networks.backbones.mobilenet import round_channels
from tombola.train.networks.backbones.resnet import BasicBlock, Bottleneck, large_stem, residual_stage
from tombola.train.networks.classify.mlp import DropoutShare
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.initialise import InitialisationName, initialise
from tombola.train.recipe.recipe import Section


class ResNetSettings(Section):
    """ResNet-18, -34 or -50 (He et al. 2016, table 1). width multiplies all channels.

    stem "large" is the paper's 7×7 convolution and pool, which leave a quarter of the sides; "small" is one
    3×3 convolution that keeps them, for pictures of 28 to 64 pixels. dropout acts before the last layer.
    """

    kind: Literal["resnet18", "resnet34", "resnet50"]
    stem: Literal["small", "large"] = "large"
    width: float = Field(default=1.0, gt=0, le=4)
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "he"


class ResNet20Settings(Section):
    """ResNet-20 for pictures of 32 pixels (He et al. 2016, section 4.2): 16, 32 and 64 channels.

    Where the shape changes, the shortcut is a 1×1 convolution with batch norm (the paper's option B).
    """

    kind: Literal["resnet20"] = "resnet20"
    width: float = Field(default=1.0, gt=0, le=16)
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "he"


class ResidualClassifier(nn.Module):
    """Stem, stages, the mean of each channel, logits: float [B, channels, h, w] -> [B, n_classes].

    Pictures of any size: h and w decide only how many cells the means are taken over.
    """

    def __init__(self, settings: ResNetSettings | ResNet20Settings, *, channels: int, n_classes: int) -> None:
        super().__init__()
        block: type[BasicBlock] | type[Bottleneck] = BasicBlock
        repeats: tuple[int, ...]
        match settings.kind:
            case "resnet18":
                repeats, first = (2, 2, 2, 2), 64
            case "resnet34":
                repeats, first = (3, 4, 6, 3), 64
            case "resnet50":
                repeats, first, block = (3, 4, 6, 3), 64, Bottleneck
            case "resnet20":
                repeats, first = (3, 3, 3), 16
        width = round_channels(first * settings.width)
        if isinstance(settings, ResNetSettings) and settings.stem == "large":
            self.stem = large_stem(channels, width)
        else:
            self.stem = nn.Sequential(ConvBatchNorm(channels, width, 3, activation=nn.ReLU(inplace=True)))
        self.stages = nn.Sequential()
        for index, repeat in enumerate(repeats):
            inner = round_channels(first * 2**index * settings.width)
            self.stages.append(residual_stage(block, width, inner, repeat, stride=2 if index > 0 else 1))
            width = inner * block.expansion
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(width, n_classes)
        initialise(self, settings.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stages(self.stem(images)).mean((2, 3))
        return self.head(self.dropout(features))  # type: ignore[no-any-return]
