"""Highway networks (Srivastava et al. 2015): layers that learn how much of their input to let pass."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, flattened
from tombola.train.networks.classify.mlp import DropoutShare, Width
from tombola.train.networks.layers.activations import ActivationName, build_activation, units_before
from tombola.train.networks.layers.dense_layer import Linear, dense_layer
from tombola.train.networks.layers.initialise import InitialisationName, initialise
from tombola.train.recipe.recipe import Section


class HighwaySettings(Section):
    """One plain layer, then `depth` highway layers, all of `width` units.

    gate_bias is the first bias of the gates; below 0 the input passes almost unchanged at first, which is
    what makes depth trainable. dropout acts after the plain layer and before the last one.
    activation is that of every layer; initialisation draws the first weights.
    """

    kind: Literal["highway"] = "highway"
    width: Width = 64
    depth: int = Field(default=10, ge=1)
    activation: ActivationName = "relu"
    gate_bias: float = -2.0
    dropout: DropoutShare = 0.0
    initialisation: InitialisationName = "default"


class HighwayLayer(nn.Module):
    """y = T·H(x) + (1 - T)·x with T = sigmoid(gate(x)) (Srivastava et al. 2015, equation 3): [B, axis]."""

    def __init__(self, axis: Axis, activation: ActivationName) -> None:
        super().__init__()
        self.plain = Linear(axis, units_before(activation, axis))
        self.activation = build_activation(activation)
        self.gate = Linear(axis, axis)

    def forward(self, x: Tensor) -> Tensor:
        share = torch.sigmoid(self.gate(x))
        return share * self.activation(self.plain(x)) + (1 - share) * x  # type: ignore[no-any-return]


class Highway(nn.Module):
    """Pixels as one vector, highway layers, logits: float [B, channels, h, w] -> [B, n_classes]."""

    def __init__(
        self,
        settings: HighwaySettings,
        *,
        channels: int,
        size_hw: tuple[int, int],
        n_classes: int,
        axes: Axes,
    ) -> None:
        super().__init__()
        picture = Axis("picture", channels, pinned=True)
        # Each layer lets a share of its input pass as it is, so that all have the same axis.
        axis = axes.new("layers", settings.width)
        layers: list[nn.Module] = [
            dense_layer(
                flattened(picture, size_hw[0] * size_hw[1]),
                axis,
                activation=settings.activation,
                batch_norm=False,
                dropout=settings.dropout,
            )
        ]
        layers += [HighwayLayer(axis, settings.activation) for _ in range(settings.depth)]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = Linear(axis, Axis("logits", n_classes, pinned=True))
        initialise(self, settings.initialisation)
        for layer in self.layers:
            if isinstance(layer, HighwayLayer):
                nn.init.constant_(layer.gate.bias, settings.gate_bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.layers(images.flatten(1))))  # type: ignore[no-any-return]
