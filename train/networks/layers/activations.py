"""Activations by the names that recipes use."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axis, Layout, Layouts, Part

ActivationName = Literal["sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "maxout"]


class Maxout(nn.Module):
    """The larger of two linear units (Goodfellow et al. 2013): float [B, 2·C, ...] -> [B, C, ...].

    Unit c answers max(x[c], x[C + c]), so the layer before it has twice the weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return torch.maximum(first, second)


class SharedPReLU(nn.PReLU):
    """PReLU (He et al. 2015) with one slope for all channels."""

    layouts: ClassVar[Layouts] = {"weight": (None,)}


def build_activation(name: ActivationName) -> nn.Module:
    """The activation as a module of its own; none works in place, so that a hook sees what went in.

    leaky_relu has slope 0.01 below 0, prelu learns one slope a layer from 0.25 on, elu has alpha 1.
    """
    match name:
        case "sigmoid":
            return nn.Sigmoid()
        case "tanh":
            return nn.Tanh()
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(0.01)
        case "prelu":
            return SharedPReLU()
        case "elu":
            return nn.ELU()
        case "maxout":
            return Maxout()


def units_before(name: ActivationName, axis: Axis) -> Layout:
    """What the layer before an activation writes, so that the activation writes `axis`."""
    return (Part(axis), Part(axis)) if name == "maxout" else (Part(axis),)
