"""Decoders of an encoder's matrices, turned around, and of patterns of length 1."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axis, Channels, Layouts, entries, flattened
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.layers.activations import ActivationName, build_activation
from tombola.train.networks.layers.dense_layer import Linear


class TiedLayer(nn.Module):
    """A linear layer by somebody else's matrix turned around, a bias of its own, an activation."""

    def __init__(self, writes: Channels, activation: nn.Module) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(entries(writes)))
        self.layouts: Layouts = {"bias": (writes,)}
        self.activation = activation

    def forward(self, x: Tensor, matrix: Tensor) -> Tensor:
        """x float [n, out], matrix [out, in] of the layer that it undoes -> [n, in]."""
        return self.activation(F.linear(x, matrix.T, self.bias))  # type: ignore[no-any-return]


class TiedDecoder(nn.Module):
    """The way back through an encoder's matrices: float [n, latents] -> logits [n, c, h, w]. widths: units of
    its hidden layers, those of the encoder in reverse."""

    def __init__(self, shape: PictureShape, widths: Sequence[int], activation: ActivationName) -> None:
        super().__init__()
        self.shape = shape
        hidden = [Axis(f"decoder.{index}", width, pinned=True) for index, width in enumerate(widths)]
        self.layers = nn.ModuleList(TiedLayer(one, build_activation(activation)) for one in hidden)
        self.layers.append(TiedLayer(_levels(shape), nn.Identity()))

    def forward(self, latents: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        """matrices: [out, in] each, in the order in which the encoder has them."""
        x = latents
        for layer, matrix in zip(self.layers, reversed(matrices), strict=True):
            x = layer(x, matrix)
        return x.unflatten(1, tuple(self.shape))  # type: ignore[no-any-return]


class Dictionary(nn.Module):
    """A picture as a sum of patterns of length 1: float [n, latents] -> levels [n, c, h, w]."""

    def __init__(self, latents: Axis, shape: PictureShape) -> None:
        super().__init__()
        self.shape = shape
        self.last = Linear(latents, _levels(shape))

    def patterns(self) -> Tensor:
        """float [c·h·w, latents]."""
        patterns: Tensor = F.normalize(self.last.weight, dim=0)
        return patterns

    def forward(self, code: Tensor) -> Tensor:
        return F.linear(code, self.patterns(), self.last.bias).unflatten(1, tuple(self.shape))  # type: ignore[no-any-return]


class Gain(nn.Module):
    """A factor for each channel, float [B, channels]."""

    def __init__(self, channels: Axis) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels.width))
        self.layouts: Layouts = {"weight": (channels,)}

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def _levels(shape: PictureShape) -> Channels:
    return flattened(Axis("pixels", shape.channels, pinned=True), shape.height * shape.width)
