"""Batch norm with fixed statistics is a scale of the kernel before it: folded, one tensor is left."""

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.errors import ExportError
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.dense_layer import LinearBatchNorm
from tombola.train.networks.layers.transposed import TransposedBatchNorm, transpose_convolve

Network = TypeVar("Network", bound=nn.Module)


class _Clamp(nn.Module):
    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)


class FoldedConv(nn.Module):
    """A ConvBatchNorm with its norm inside the kernel: `weight` [out, in / groups, k, k] and `bias` [out]."""

    def __init__(self, source: ConvBatchNorm) -> None:
        super().__init__()
        with torch.no_grad():
            weight, bias = source.folded()
        self.weight = nn.Parameter(weight.clone(), requires_grad=False)
        self.bias = nn.Parameter(bias.clone(), requires_grad=False)
        self.uneven = source.uneven
        self.stride = source.conv.stride
        self.padding = source.conv.padding
        self.groups = source.conv.groups
        # Out of place, and as the operator that the exporter follows fastest; the numbers are the same.
        self.activation = _Clamp(0.0, 6.0) if isinstance(source.activation, nn.ReLU6) else source.activation

    def forward(self, x: Tensor) -> Tensor:
        if self.uneven:
            x = F.pad(x, self.uneven)
        x = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        return self.activation(x)  # type: ignore[no-any-return]


class FoldedLinear(nn.Module):
    """A LinearBatchNorm with its norm inside the weights: `weight` [out, in] and `bias` [out]."""

    def __init__(self, source: LinearBatchNorm) -> None:
        super().__init__()
        with torch.no_grad():
            weight, bias = source.folded()
        self.weight = nn.Parameter(weight.clone(), requires_grad=False)
        self.bias = nn.Parameter(bias.clone(), requires_grad=False)
        self.activation = source.activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(F.linear(x, self.weight, self.bias))  # type: ignore[no-any-return]


class FoldedTransposed(nn.Module):
    """A TransposedBatchNorm with its norm inside the kernel: `weight` [in, out, 4, 4] and `bias` [out]."""

    def __init__(self, source: TransposedBatchNorm) -> None:
        super().__init__()
        with torch.no_grad():
            weight, bias = source.folded()
        self.weight = nn.Parameter(weight.transpose(0, 1).clone(), requires_grad=False)
        self.bias = nn.Parameter(bias.clone(), requires_grad=False)
        self.activation = source.activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(transpose_convolve(x, self.weight, self.bias))  # type: ignore[no-any-return]


# What has a norm to fold -> what it becomes.
TWINS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    ConvBatchNorm: FoldedConv,
    LinearBatchNorm: FoldedLinear,
    TransposedBatchNorm: FoldedTransposed,
}


def fold(network: Network) -> Network:
    """A copy of the network for test time: float32, on the CPU, each layer with a norm its twin of TWINS.

    Raises ExportError that names the first tensor with a number that is not finite.
    """
    check_finite(network)
    folded = copy.deepcopy(network).float().cpu().eval()
    for name, module in list(folded.named_modules()):
        if type(module) in TWINS:
            parent, _, child = name.rpartition(".")
            setattr(folded.get_submodule(parent), child, TWINS[type(module)](module))
    # Finite statistics can still fold into something else, a negative variance for one.
    check_finite(folded)
    return folded.requires_grad_(False)


def check_finite(network: nn.Module) -> None:
    """ExportError unless every number in the network is finite."""
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            wrong = int((~torch.isfinite(tensor)).sum())
            raise ExportError(
                f"{name} has {wrong} of {tensor.numel()} numbers that are NaN or infinite; "
                "export earlier weights of the run, from before the loss went wrong."
            )
