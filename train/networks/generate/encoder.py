"""From a picture to features: what the latents are made of."""

from collections.abc import Sequence

from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, Channels, flattened
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.layers.activations import ActivationName
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.dense_layer import dense_layer


class ConvEncoder(nn.Module):
    """Convolutions that halve the sides: float [B, c, h, w] -> [B, features]."""

    features: Channels

    def __init__(self, shape: PictureShape, widths: Sequence[int], axes: Axes) -> None:
        super().__init__()
        height, width = shape.shrunk(len(widths))
        reads = Axis("picture", shape.channels, pinned=True)
        self.layers = nn.Sequential()
        for index, channels in enumerate(widths):
            writes = axes.new(f"encoder.{index}", channels)
            self.layers.append(ConvBatchNorm(reads, writes, 3, stride=2, activation=nn.ReLU()))
            reads = writes
        self.features = flattened(reads, height * width)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten(1)  # type: ignore[no-any-return]


class DenseEncoder(nn.Module):
    """Fully connected layers: float [B, c, h, w] -> [B, features]. pinned: none of their units may go."""

    features: Channels

    def __init__(
        self,
        shape: PictureShape,
        widths: Sequence[int],
        activation: ActivationName,
        axes: Axes,
        *,
        pinned: bool = False,
    ) -> None:
        super().__init__()
        picture = Axis("picture", shape.channels, pinned=True)
        self.layers = nn.Sequential()
        self.features = flattened(picture, shape.height * shape.width)
        for index, units in enumerate(widths):
            name = f"encoder.{index}"
            writes = Axis(name, units, pinned=True) if pinned else axes.new(name, units)
            self.layers.append(
                dense_layer(self.features, writes, activation=activation, batch_norm=False, dropout=0.0)
            )
            self.features = writes

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.flatten(1))  # type: ignore[no-any-return]
