"""A transformer over the patches of a picture (Dosovitskiy et al. 2021), norms first, no class token."""

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.classify.mlp import DropoutShare
from tombola.train.networks.layers.attention_pool import UNITS, AttentionPool, PoolingName
from tombola.train.networks.layers.convolution import Conv
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.norm import LayerNorm
from tombola.train.networks.layers.positions import sinusoids
from tombola.train.networks.layers.transformer import SelfLayer
from tombola.train.recipe.recipe import Section


class PatchesSettings(Section):
    """A transformer over square patches of `patch` pixels, each `width` numbers, its row and its column added
    as waves (a multiple of 4 numbers, therefore): `layers` layers of `heads` heads and `hidden` units.
    pooling "attention" weighs the patches at the end, and tells the weights. dropout acts on all that a layer
    adds, and before the last layer."""

    kind: Literal["patches"] = "patches"
    patch: int = Field(default=4, ge=1, le=64)
    layers: int = Field(default=4, ge=1, le=64)
    width: Annotated[int, Field(ge=4, le=4096, multiple_of=4)] = 64
    heads: int = Field(default=4, ge=1, le=256)
    hidden: int = Field(default=128, ge=1, le=16384)
    pooling: PoolingName = "mean"
    dropout: DropoutShare = 0.0

    @model_validator(mode="after")
    def _whole_heads(self) -> "PatchesSettings":
        if self.width % self.heads:
            raise ValueError(f"width = {self.width} is no multiple of heads = {self.heads}; change one")
        return self


class Patches(nn.Module):
    """Patches, layers, the mean over patches, logits: float [B, channels, h, w] -> [B, n_classes].

    pool weighs the patches; None where all count alike.
    """

    def __init__(
        self,
        settings: PatchesSettings,
        *,
        channels: int,
        size_hw: tuple[int, int],
        n_classes: int,
        axes: Axes,
    ) -> None:
        super().__init__()
        if any(side % settings.patch for side in size_hw):
            raise RecipeError(
                f"picture.size {list(size_hw)} is not whole patches of network.patch = {settings.patch} "
                "pixels; change one of them"
            )
        # Positions are waves over all of these numbers, so none of them can be cut.
        width = Axis("width", settings.width, pinned=True)
        self.patches = Conv(
            Axis("picture", channels, pinned=True), width, settings.patch, stride=settings.patch
        )
        self.layers = nn.Sequential(
            *(
                SelfLayer(f"layers.{number}", width, settings.heads, settings.hidden, settings.dropout, axes)
                for number in range(settings.layers)
            )
        )
        self.norm = LayerNorm(width)
        self.pool = AttentionPool(width, axes.new("pool", UNITS)) if settings.pooling == "attention" else None
        self.dropout = nn.Dropout(settings.dropout)
        self.head = Linear(width, Axis("logits", n_classes, pinned=True))

    def forward(self, images: Tensor) -> Tensor:
        if self.pool is not None:
            return self.look(images)[0]
        return self.head(self.dropout(self._cells(images)[0].mean(1)))  # type: ignore[no-any-return]

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and how much each patch mattered, float [B, rows, columns] of sum 1; only where there is a
        pool."""
        assert self.pool is not None
        cells, grid_hw = self._cells(images)
        features, weights = self.pool(cells)
        return self.head(self.dropout(features)), weights.unflatten(1, grid_hw)

    def _cells(self, images: Tensor) -> tuple[Tensor, torch.Size]:
        """[B, rows · columns, width], row by row, and the numbers of rows and columns."""
        maps = self.patches(images)
        rows, columns = (torch.arange(side, device=images.device) for side in maps.shape[2:])
        half = maps.shape[1] // 2
        places = torch.cat(
            [
                sinusoids(rows, half)[:, None].expand(-1, len(columns), -1),
                sinusoids(columns, half)[None].expand(len(rows), -1, -1),
            ],
            -1,
        )
        cells = maps.flatten(2).transpose(1, 2) + places.flatten(0, 1)
        return self.norm(self.layers(cells)), maps.shape[2:]
