"""Plain convolutional classifiers: blocks of convolutions that end in a pool, then dense layers."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes, Axis, Channels, flattened
from tombola.train.networks.classify.mlp import DropoutShare, Width
from tombola.train.networks.layers.activations import ActivationName, build_activation, units_before
from tombola.train.networks.layers.convolution import Conv, ConvBatchNorm
from tombola.train.networks.layers.dense_layer import Linear, dense_layer
from tombola.train.networks.layers.initialise import InitialisationName, initialise
from tombola.train.recipe.recipe import Section

Block = Annotated[tuple[Width, ...], Field(min_length=1)]


class CnnSettings(Section):
    """One list of channels a block; after its convolutions each block halves the sides by a 2×2 pool.

    padding keeps the sides through a convolution, which needs an odd kernel. end "flatten" hands every cell
    of the last map to the dense layers, "mean" one number a channel, in place of the last pool. block_dropout
    acts after each pool, dropout after each dense layer, or before the last layer if there is none.
    activation follows each layer; initialisation draws the first weights.

    LeNet-5 in the form with max pools and ReLU: blocks = [[6], [16]], kernel = 5, padding = false, dense =
    [120, 84], batch_norm = false. Conv-2, -4 and -6 (Frankle & Carbin 2019, figure 2): blocks = [[64, 64]],
    and [128, 128], and [256, 256], with dense = [256, 256], batch_norm = false, initialisation = "xavier".
    """

    kind: Literal["cnn"] = "cnn"
    blocks: tuple[Block, ...] = Field(default=((32, 32), (64, 64)), min_length=1)
    kernel: int = Field(default=3, ge=1, le=15)
    padding: bool = True
    pool: Literal["max", "average"] = "max"
    end: Literal["flatten", "mean"] = "flatten"
    dense: tuple[Width, ...] = (128,)
    activation: ActivationName = "relu"
    batch_norm: bool = True
    block_dropout: DropoutShare = 0.0
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "default"

    @model_validator(mode="after")
    def _sides_kept(self) -> "CnnSettings":
        if self.padding and self.kernel % 2 == 0:
            raise ValueError(f"kernel = {self.kernel} cannot keep the sides; make it odd, or padding = false")
        return self


class Cnn(nn.Module):
    """Blocks, dense layers, logits: float [B, channels, h, w] -> [B, n_classes]."""

    def __init__(
        self, settings: CnnSettings, *, channels: int, size_hw: tuple[int, int], n_classes: int, axes: Axes
    ) -> None:
        super().__init__()
        height, width = _last_map_hw(settings, size_hw)
        self.mean_end = settings.end == "mean"
        reads = Axis("picture", channels, pinned=True)
        self.blocks = nn.Sequential()
        for index, block in enumerate(settings.blocks):
            pooled = not (self.mean_end and index == len(settings.blocks) - 1)
            writes = [axes.new(f"blocks.{index}.{i}", channels) for i, channels in enumerate(block)]
            self.blocks.append(_block(settings, reads, writes, pooled=pooled))
            reads = writes[-1]
        features: Channels = reads if self.mean_end else flattened(reads, height * width)
        self.dense = nn.Sequential()
        for index, units in enumerate(settings.dense):
            hidden = axes.new(f"dense.{index}", units)
            self.dense.append(
                dense_layer(
                    features,
                    hidden,
                    activation=settings.activation,
                    batch_norm=settings.batch_norm,
                    dropout=settings.dropout,
                )
            )
            features = hidden
        if settings.dropout and not settings.dense:
            self.dense.append(nn.Dropout(settings.dropout))
        self.writes = Axis("logits", n_classes, pinned=True)
        self.head = Linear(features, self.writes)
        initialise(self, settings.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.blocks(images)
        features = maps.mean((2, 3)) if self.mean_end else maps.flatten(1)
        return self.head(self.dense(features))  # type: ignore[no-any-return]


def _block(settings: CnnSettings, reads: Axis, axes: Sequence[Axis], *, pooled: bool) -> nn.Sequential:
    """Convolutions of which each reads what the one before it writes."""
    layers: list[nn.Module] = []
    for writes in axes:
        units = units_before(settings.activation, writes)
        activation = build_activation(settings.activation)
        if settings.batch_norm:
            layers.append(
                ConvBatchNorm(reads, units, settings.kernel, activation=activation, padded=settings.padding)
            )
        else:
            padding = settings.kernel // 2 if settings.padding else 0
            layers += [Conv(reads, units, settings.kernel, padding=padding), activation]
        reads = writes
    if pooled:
        layers.append(nn.MaxPool2d(2) if settings.pool == "max" else nn.AvgPool2d(2))
    if settings.block_dropout:
        layers.append(nn.Dropout(settings.block_dropout))
    return nn.Sequential(*layers)


def _last_map_hw(settings: CnnSettings, size_hw: tuple[int, int]) -> tuple[int, int]:
    """Sides of the last map; RecipeError if a block has nothing left to pool."""
    height, width = size_hw
    lost = 0 if settings.padding else settings.kernel - 1
    for index, block in enumerate(settings.blocks):
        pooled = not (settings.end == "mean" and index == len(settings.blocks) - 1)
        height, width = ((side - lost * len(block)) // (2 if pooled else 1) for side in (height, width))
        if min(height, width) < 1:
            needed = "2×2 cells" if pooled else "a cell"
            raise RecipeError(
                f"network.blocks[{index}] = {list(block)} has less than {needed} left of a picture of "
                f"{list(size_hw)}; take fewer blocks, padding = true or a larger picture.size"
            )
    return height, width
