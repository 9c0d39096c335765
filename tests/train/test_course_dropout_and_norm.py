"""Dropout and batch norm as they are in training and at test time, worked out in NumPy."""

from itertools import product

import numpy as np
import torch
from torch import nn

from tests.train.by_hand import Array, array, convolve, set_weights
from tombola.train.networks.axis import Axis
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.dense_layer import LinearBatchNorm, dense_layer


def test_dropout_keeps_the_expectation_of_the_next_layer() -> None:
    """Over all masks, weighted by their probability, W(r·a / p) is W a; and ours makes just those outputs."""
    p_drop, a = 0.25, np.array([1.0, -2.0, 3.0, 0.5])
    weight = np.arange(8.0).reshape(2, 4) - 3
    mean = np.zeros(2)
    for mask in product([0, 1], repeat=4):
        probability = (1 - p_drop) ** sum(mask) * p_drop ** (4 - sum(mask))
        mean += probability * (weight @ (np.array(mask) * a / (1 - p_drop)))
    np.testing.assert_allclose(mean, weight @ a)

    layer = dense_layer(
        Axis("inputs", 4), Axis("units", 4), activation="leaky_relu", batch_norm=False, dropout=p_drop
    )
    set_weights(layer[0], torch.eye(4), torch.zeros(4))
    kept = np.where(a > 0, a, 0.01 * a) / (1 - p_drop)
    torch.manual_seed(0)
    outputs = array(layer(torch.tensor(a, dtype=torch.float32).expand(20_000, 4)))
    dropped = outputs == 0
    np.testing.assert_allclose(outputs, np.where(dropped, 0, kept), rtol=1e-6)
    # Five standard errors of a share over 20 000 draws.
    np.testing.assert_allclose(dropped.mean(axis=0), p_drop, atol=5 * (p_drop * (1 - p_drop) / 20_000) ** 0.5)
    np.testing.assert_allclose(
        array(layer.eval()(torch.tensor(a, dtype=torch.float32)[None])[0]), kept * (1 - p_drop), rtol=1e-6
    )


def test_batch_norm_uses_the_batch_while_training_and_the_set_at_test_time() -> None:
    rng = np.random.default_rng(1)
    training_set = rng.normal(3.0, 2.0, size=(3, 32, 4))  # three batches
    layer = LinearBatchNorm(Axis("inputs", 4), Axis("units", 4), activation=nn.Identity()).double()
    with torch.no_grad():
        layer.linear.weight.copy_(torch.eye(4))
        layer.norm.weight.copy_(torch.tensor([1.0, 2.0, 0.5, -1.0]))
        layer.norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 3.0]))
    gamma, beta = array(layer.norm.weight), array(layer.norm.bias)

    def normed(x: Array, mean: Array, variance: Array) -> Array:
        return np.asarray(gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta)

    # Running statistics: a tenth of the new batch each time, the variance with n - 1.
    running_mean, running_variance = np.zeros(4), np.ones(4)
    for batch in training_set:
        expected = normed(batch, batch.mean(axis=0), batch.var(axis=0))
        np.testing.assert_allclose(array(layer(torch.tensor(batch))), expected, atol=1e-10)
        running_mean = 0.9 * running_mean + 0.1 * batch.mean(axis=0)
        running_variance = 0.9 * running_variance + 0.1 * batch.var(axis=0, ddof=1)
    layer.eval()
    test_pictures = torch.tensor(rng.normal(size=(5, 4)))
    expected = normed(array(test_pictures), running_mean, running_variance)
    np.testing.assert_allclose(array(layer(test_pictures)), expected, atol=1e-10)
    # At test time a picture's answer does not depend on its neighbours.
    np.testing.assert_allclose(array(layer(test_pictures[:1])), expected[:1], atol=1e-10)

    # With equal weight for every batch the mean is that of the whole training set.
    layer.norm.momentum = None
    layer.norm.reset_running_stats()
    layer.train()
    for batch in training_set:
        layer(torch.tensor(batch))
    assert layer.norm.running_mean is not None
    np.testing.assert_allclose(array(layer.norm.running_mean), training_set.mean((0, 1)), atol=1e-10)


def test_batch_norm_of_a_convolution_counts_every_cell() -> None:
    torch.manual_seed(2)
    block = ConvBatchNorm(Axis("inputs", 2), Axis("maps", 3), 3).double()
    x = torch.randn(4, 2, 5, 6, dtype=torch.float64)
    z = convolve(np.pad(array(x), ((0, 0), (0, 0), (1, 1), (1, 1))), array(block.conv.weight), np.zeros(3))
    mean, variance = z.mean((0, 2, 3), keepdims=True), z.var((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(array(block(x)), (z - mean) / np.sqrt(variance + 1e-5), atol=1e-10)
    mean, variance = 0.1 * mean, 0.9 + 0.1 * z.var((0, 2, 3), ddof=1, keepdims=True)
    np.testing.assert_allclose(array(block.eval()(x)), (z - mean) / np.sqrt(variance + 1e-5), atol=1e-10)
