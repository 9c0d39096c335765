"""What the tests in NumPy share: weights set and read, and a convolution of loops."""

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


def set_weights(layer: nn.Module, weight: object, bias: object) -> None:
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight).view_as(layer.weight))
        layer.bias.copy_(torch.as_tensor(bias).view_as(layer.bias))


def array(tensor: Tensor | None) -> Array:
    assert tensor is not None
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


def convolve(x: Array, kernel: Array, bias: Array) -> Array:
    """z[n, f, i, j] = sum over c, p, q of x[n, c, i + p, j + q] · kernel[f, c, p, q], plus bias[f]."""
    height, width = (side - kernel.shape[2] + 1 for side in x.shape[2:])
    z = np.zeros((len(x), len(kernel), height, width))
    for i, j in product(range(height), range(width)):
        window = x[:, :, i : i + kernel.shape[2], j : j + kernel.shape[3]]
        z[:, :, i, j] = np.einsum("ncpq,fcpq->nf", window, kernel) + bias
    return z
