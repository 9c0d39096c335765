"""From latents to a picture, as logits: a sigmoid away from levels of 0..1."""

from collections.abc import Sequence

from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, Channels, flattened
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.layers.activations import ActivationName
from tombola.train.networks.layers.convolution import Conv
from tombola.train.networks.layers.dense_layer import Linear, LinearBatchNorm, dense_layer
from tombola.train.networks.layers.transposed import TransposedBatchNorm


class ConvDecoder(nn.Module):
    """One dense layer, then transposed convolutions that double the sides, as in DCGAN (Radford et al. 2016):
    float [n, latents] -> logits [n, c, h, w]. widths: channels of each map, the smallest map first."""

    def __init__(self, latents: Channels, shape: PictureShape, widths: Sequence[int], axes: Axes) -> None:
        super().__init__()
        self.height, self.width = shape.shrunk(len(widths) - 1)
        reads = axes.new("decoder.0", widths[0])
        cells = flattened(reads, self.height * self.width)
        self.first = LinearBatchNorm(latents, cells, activation=nn.ReLU())
        self.layers = nn.Sequential()
        for index, channels in enumerate(widths[1:], 1):
            writes = axes.new(f"decoder.{index}", channels)
            self.layers.append(TransposedBatchNorm(reads, writes, activation=nn.ReLU()))
            reads = writes
        self.last = Conv(reads, Axis("pixels", shape.channels, pinned=True), 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        maps = self.first(latents).unflatten(1, (-1, self.height, self.width))
        return self.last(self.layers(maps))  # type: ignore[no-any-return]


class DenseDecoder(nn.Module):
    """Fully connected layers: float [n, latents] -> logits [n, c, h, w]."""

    def __init__(
        self,
        latents: Channels,
        shape: PictureShape,
        widths: Sequence[int],
        activation: ActivationName,
        axes: Axes,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential()
        reads = latents
        for index, units in enumerate(widths):
            writes = axes.new(f"decoder.{index}", units)
            self.layers.append(
                dense_layer(reads, writes, activation=activation, batch_norm=False, dropout=0.0)
            )
            reads = writes
        pixels = Axis("pixels", shape.channels, pinned=True)
        self.last = Linear(reads, flattened(pixels, shape.height * shape.width))

    def forward(self, latents: Tensor) -> Tensor:
        return self.last(self.layers(latents)).unflatten(1, tuple(self.shape))  # type: ignore[no-any-return]
