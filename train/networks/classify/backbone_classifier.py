"""Classifiers that stand on a backbone: one vector for its last map, and logits."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.backbones.backbones import build_backbone
from tombola.train.networks.backbones.mobilenet import last_convolution
from tombola.train.networks.backbones.resnet import StemName
from tombola.train.networks.classify.mlp import DropoutShare
from tombola.train.networks.layers.attention_pool import UNITS, AttentionPool, PoolingName
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.initialise import InitialisationName, initialise
from tombola.train.recipe.recipe import Section


class ResNetSettings(Section):
    """ResNet-18, -34 or -50 (He et al. 2016, table 1). width multiplies all channels.

    stem "large" is the paper's 7×7 convolution and pool, which leave a quarter of the sides; "small" is one
    3×3 convolution that keeps them, for pictures of 28 to 64 pixels. pooling "attention" weighs the cells of
    the last map, and tells the weights. dropout acts before the last layer. initialisation draws the first
    weights.
    """

    kind: Literal["resnet18", "resnet34", "resnet50"]
    stem: StemName = "large"
    width: float = Field(default=1.0, gt=0, le=4)
    pooling: PoolingName = "mean"
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "he"


class ResNet20Settings(Section):
    """ResNet-20 for pictures of 32 pixels (He et al. 2016, section 4.2): 16, 32 and 64 channels.

    Where the shape changes, the shortcut is a 1×1 convolution with batch norm (the paper's option B).
    width multiplies all channels. pooling "attention" weighs the cells of the last map, and tells the
    weights. dropout acts before the last layer. initialisation draws the first weights.
    """

    kind: Literal["resnet20"] = "resnet20"
    width: float = Field(default=1.0, gt=0, le=16)
    pooling: PoolingName = "mean"
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "he"


class InvertedResidualSettings(Section):
    """MobileNetV2 (Sandler et al. 2018) or EfficientNet-Lite (Tan & Le 2019), with their last convolution.

    For photos: the last map has a 32nd of the sides. width multiplies all channels. pooling "attention"
    weighs the cells of the last map, and tells the weights. dropout acts before the last layer.
    initialisation draws the first weights.
    """

    kind: Literal["mobilenet_v2", "efficientnet_lite0", "efficientnet_lite2"]
    width: float = Field(default=1.0, gt=0, le=4)
    pooling: PoolingName = "mean"
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "he"


BackboneSettings = ResNetSettings | ResNet20Settings | InvertedResidualSettings


class BackboneClassifier(nn.Module):
    """Backbone, the mean of each channel, logits: float [B, channels, h, w] -> [B, n_classes].

    Pictures of any size: h and w decide only how many cells the means are taken over. pool weighs them; None
    where all count alike.
    """

    def __init__(
        self,
        settings: BackboneSettings,
        *,
        channels: int,
        size_hw: tuple[int, int],
        n_classes: int,
        axes: Axes,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(
            settings.kind,
            width=settings.width,
            strides=None,
            channels=channels,
            stem=settings.stem if isinstance(settings, ResNetSettings) else "large",
            axes=axes,
        )
        (features,) = self.backbone.writes
        self.last: nn.Module = nn.Identity()
        if isinstance(settings, InvertedResidualSettings):
            _check_size(settings.kind, self.backbone.strides[0], size_hw)
            self.last, features = last_convolution(
                features, axes, width=settings.width, lite=settings.kind != "mobilenet_v2"
            )
        self.pool = (
            AttentionPool(features, axes.new("pool", UNITS)) if settings.pooling == "attention" else None
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.head = Linear(features, Axis("logits", n_classes, pinned=True))
        initialise(self, settings.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        if self.pool is not None:
            return self.look(images)[0]
        return self.head(self.dropout(self._maps(images).mean((2, 3))))  # type: ignore[no-any-return]

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and how much each cell of the last map mattered, float [B, rows, columns] of sum 1; only
        where there is a pool."""
        assert self.pool is not None
        maps = self._maps(images)
        features, weights = self.pool(maps.flatten(2).transpose(1, 2))
        return self.head(self.dropout(features)), weights.unflatten(1, maps.shape[2:])

    def _maps(self, images: Tensor) -> Tensor:
        (maps,) = self.backbone(images)
        return self.last(maps)  # type: ignore[no-any-return]


def _check_size(kind: str, stride: int, size_hw: tuple[int, int]) -> None:
    if min(size_hw) < stride:
        raise RecipeError(
            f"network.kind = {kind!r} needs pictures of at least {stride} pixels a side, picture.size is "
            f"{list(size_hw)}; take larger pictures, or resnet20"
        )
