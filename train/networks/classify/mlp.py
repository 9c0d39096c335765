"""Multilayer perceptrons."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, Channels, flattened
from tombola.train.networks.layers.activations import ActivationName
from tombola.train.networks.layers.dense_layer import Linear, dense_layer
from tombola.train.networks.layers.initialise import InitialisationName, initialise
from tombola.train.recipe.recipe import Section

Width = Annotated[int, Field(ge=1)]
DropoutShare = Annotated[float, Field(ge=0, lt=1)]


class MlpSettings(Section):
    """Hidden layers of `widths` units. dropout is the share of hidden units set to 0 while training.

    activation follows each hidden layer, after batch_norm; initialisation draws the first weights.

    The 512-512-10 network is the default; LeNet-300-100 (LeCun et al. 1998) is widths = [300, 100].
    """

    kind: Literal["mlp"] = "mlp"
    widths: tuple[Width, ...] = (512, 512)
    activation: ActivationName = "relu"
    batch_norm: bool = False
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "default"


class Mlp(nn.Module):
    """Pixels as one vector, hidden layers, logits: float [B, channels, h, w] -> [B, n_classes]."""

    def __init__(
        self, settings: MlpSettings, *, channels: int, size_hw: tuple[int, int], n_classes: int, axes: Axes
    ) -> None:
        super().__init__()
        picture = Axis("picture", channels, pinned=True)
        features: Channels = flattened(picture, size_hw[0] * size_hw[1])
        self.layers = nn.Sequential()
        for index, width in enumerate(settings.widths):
            hidden = axes.new(f"layers.{index}", width)
            self.layers.append(
                dense_layer(
                    features,
                    hidden,
                    activation=settings.activation,
                    batch_norm=settings.batch_norm,
                    dropout=settings.dropout,
                )
            )
            features = hidden
        self.head = Linear(features, Axis("logits", n_classes, pinned=True))
        initialise(self, settings.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images.flatten(1)))  # type: ignore[no-any-return]
