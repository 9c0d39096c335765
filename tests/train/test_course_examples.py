"""Worked examples whose numbers can be found with pen and paper, and the rules of backpropagation written out
in NumPy, held against our networks and autograd."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tests.train.by_hand import Array, array, convolve, set_weights
from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.classify.cnn import Cnn, CnnSettings
from tombola.train.networks.classify.mlp import Mlp, MlpSettings
from tombola.train.networks.layers.activations import ActivationName
from tombola.train.networks.layers.dense_layer import dense_layer

# A network of 2 inputs, 2 hidden and 2 output units, all ReLU: x = (1, 2), t = (2, 4). By hand:
#   h1 = relu(1·1 + 2·(-0.5) - 0.5) = relu(-0.5) = 0      h2 = relu(1·0.5 + 2·1 - 0.5) = 2
#   y1 = relu(0·0.5 + 2·(-1) + 1) = relu(-1) = 0          y2 = relu(0·(-2) + 2·0.5 + 1) = 2
#   E = ((0 - 2)² + (2 - 4)²) / 2 = 4


@pytest.fixture
def small_network() -> Mlp:
    network = Mlp(MlpSettings(widths=(2,)), channels=1, size_hw=(1, 2), n_classes=2, axes=Axes())
    set_weights(network.get_submodule("layers.0.0"), [[1.0, -0.5], [0.5, 1.0]], [-0.5, -0.5])
    set_weights(network.head, [[0.5, -1.0], [-2.0, 0.5]], [1.0, 1.0])
    return network


def squared_error(network: Mlp) -> tuple[Tensor, Tensor]:
    answer = network(torch.tensor([[[[1.0, 2.0]]]])).relu()
    return answer, F.mse_loss(answer, torch.tensor([[2.0, 4.0]]))


def test_two_two_two_forward_values_and_error(small_network: Mlp) -> None:
    hidden = small_network.layers(torch.tensor([[1.0, 2.0]]))
    answer, error = squared_error(small_network)
    assert hidden.tolist() == [[0.0, 2.0]]
    assert answer.tolist() == [[0.0, 2.0]]
    assert error.item() == 4.0


def test_two_two_two_updated_weights(small_network: Mlp) -> None:
    optimizer = torch.optim.SGD(small_network.parameters(), lr=0.01)
    squared_error(small_network)[1].backward()
    optimizer.step()
    # w31 leads from h1 to y1, and both are dead: nothing moves.
    assert small_network.head.weight[0, 0].item() == 0.5
    # dE/dw42 = (y2 - t2) · h2 = -2 · 2 = -4.
    assert small_network.head.weight[1, 1].item() == pytest.approx(0.54)
    # dE/dw22 = (y2 - t2) · w42 · x2 = -2 · 0.5 · 2 = -2, with w42 as it was before the step; y1 is dead.
    first = small_network.get_submodule("layers.0.0")
    assert isinstance(first, nn.Linear)
    assert first.weight[1, 1].item() == pytest.approx(1.02)


RGB = np.array(
    [
        [[2, 1, 0, 0], [0, 0, 2, 1], [0, 2, 0, 1], [2, 1, 0, 1]],
        [[2, 2, 0, 0], [0, 0, 2, 1], [0, 0, 2, 0], [0, 1, 0, 1]],
        [[2, 1, 0, 0], [0, 0, 2, 1], [2, 0, 0, 0], [0, 1, 0, 1]],
    ],
    dtype=np.float64,
)
KERNEL = np.array(
    [
        [[1, 0, 0], [0, -2, 0], [0, 0, -1]],
        [[1, 2, 0], [2, 0, -1], [0, -1, 1]],
        [[0, 0, -2], [0, 1, 2], [-2, 2, 0]],
    ],
    dtype=np.float64,
)


@pytest.mark.parametrize(
    ("pool", "pooled"),
    [("max", [[10, 8], [4, 11]]), ("average", [[21 / 4, 7 / 2], [5 / 4, 27 / 4]])],
)
def test_rgb_convolution_and_pooling(pool: str, pooled: list[list[float]]) -> None:
    cnn_settings = CnnSettings.model_validate({"blocks": [[1]], "pool": pool, "batch_norm": False})
    block = Cnn(cnn_settings, channels=3, size_hw=(4, 4), n_classes=2, axes=Axes()).blocks[0]
    assert isinstance(block, nn.Sequential)
    set_weights(block[0], KERNEL, 2.0)
    picture = torch.tensor(RGB, dtype=torch.float32)[None]
    assert block[:2](picture)[0, 0].tolist() == [[0, 5, 8, 0], [6, 10, 1, 5], [4, 0, 2, 11], [0, 1, 11, 3]]
    assert block(picture)[0, 0].tolist() == pooled


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        (0, [[-4, -4, -1, 0], [-2, 2, -4, -2], [-1, -4, -1, 0], [-4, -2, 2, -2]]),
        (1, [[-2, 6, 3, -1], [4, 6, -1, 4], [1, -3, 5, 7], [-1, 0, 5, 2]]),
        (2, [[4, 1, 4, -2], [2, 0, 4, 1], [2, -2, -4, 2], [2, 1, 2, 1]]),
    ],
)
def test_rgb_convolution_by_channel(channel: int, expected: list[list[float]]) -> None:
    x, kernel = RGB[None, channel : channel + 1], KERNEL[None, channel : channel + 1]
    assert (
        convolve(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), kernel, np.zeros(1))[0, 0].tolist() == expected
    )


# Backpropagation written out. delta is dE/dz, z what goes into an activation, a what comes out of it.


def convolve_backward(x: Array, kernel: Array, delta: Array) -> tuple[Array, Array, Array]:
    """dE/dx, dE/dkernel, dE/dbias: every weight collects what each place where it was used has to say."""
    dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
    for i, j in product(range(delta.shape[2]), range(delta.shape[3])):
        rows, columns = slice(i, i + kernel.shape[2]), slice(j, j + kernel.shape[3])
        dkernel += np.einsum("nf,ncpq->fcpq", delta[:, :, i, j], x[:, :, rows, columns])
        dx[:, :, rows, columns] += np.einsum("nf,fcpq->ncpq", delta[:, :, i, j], kernel)
    return dx, dkernel, delta.sum((0, 2, 3))


def pool_backward(x: Array, delta: Array, how: str) -> Array:
    """dE/dx of a 2×2 pool: a mean shares delta among four cells, a maximum hands it to the one that won."""
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*delta.shape):
        cell = dx[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        if how == "average":
            cell += delta[n, c, i, j] / 4
        else:
            window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            cell[np.unravel_index(window.argmax(), (2, 2))] += delta[n, c, i, j]
    return dx


def softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


ACTIVATIONS: dict[ActivationName, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (lambda z: np.maximum(z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "prelu": (lambda z: np.maximum(z, 0.25 * z), lambda z: np.where(z > 0, 1.0, 0.25)),
    "elu": (lambda z: np.where(z > 0, z, np.exp(z) - 1), lambda z: np.where(z > 0, 1.0, np.exp(z))),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_backpropagation_through_a_perceptron(name: ActivationName) -> None:
    torch.manual_seed(3)
    network = Mlp(
        MlpSettings(widths=(5, 4), activation=name), channels=1, size_hw=(2, 3), n_classes=3, axes=Axes()
    ).double()
    x, labels = torch.randn(7, 1, 2, 3, dtype=torch.float64), torch.randint(0, 3, (7,))
    F.cross_entropy(network(x), labels).backward()

    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    weights = [array(layer.weight) for layer in layers]
    f, derivative = ACTIVATIONS[name]
    outputs, inputs = [array(x.flatten(1))], []
    for layer, weight in zip(layers, weights, strict=True):
        inputs.append(outputs[-1] @ weight.T + array(layer.bias))
        outputs.append(f(inputs[-1]))
    # With softmax and cross-entropy the last error term is the answer minus the truth.
    delta = (softmax(inputs[-1]) - np.eye(3)[labels.numpy()]) / len(x)
    for index in reversed(range(len(layers))):
        np.testing.assert_allclose(array(layers[index].weight.grad), delta.T @ outputs[index], atol=1e-12)
        np.testing.assert_allclose(array(layers[index].bias.grad), delta.sum(axis=0), atol=1e-12)
        if index > 0:
            delta = derivative(inputs[index - 1]) * (delta @ weights[index])


def test_backpropagation_through_maxout() -> None:
    torch.manual_seed(3)
    layer = dense_layer(
        Axis("inputs", 4), Axis("units", 3), activation="maxout", batch_norm=False, dropout=0
    ).double()
    x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    delta = np.random.default_rng(0).normal(size=(6, 3))
    layer(x).backward(torch.tensor(delta))
    linear = layer[0]
    assert isinstance(linear, nn.Linear)
    z = array(x) @ array(linear.weight).T + array(linear.bias)  # [6, 6]: unit c is pieces c and 3 + c
    first_won = z[:, :3] > z[:, 3:]
    assert 0 < first_won.mean() < 1
    both = np.concatenate([np.where(first_won, delta, 0), np.where(first_won, 0, delta)], axis=1)
    np.testing.assert_allclose(array(linear.weight.grad), both.T @ array(x), atol=1e-12)
    np.testing.assert_allclose(array(x.grad), both @ array(linear.weight), atol=1e-12)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("pool", ["max", "average"])
def test_backpropagation_through_a_convolutional_network(pool: str, padded: bool) -> None:
    torch.manual_seed(5)
    network = Cnn(
        CnnSettings.model_validate(
            {
                "blocks": [[3, 2]],
                "kernel": 3,
                "padding": padded,
                "pool": pool,
                "dense": [],
                "activation": "tanh",
                "batch_norm": False,
            }
        ),
        channels=2,
        size_hw=(8, 6),
        n_classes=3,
        axes=Axes(),
    ).double()
    images, labels = torch.randn(4, 2, 8, 6, dtype=torch.float64, requires_grad=True), torch.arange(4) % 3
    logits = network(images)
    F.cross_entropy(logits, labels).backward()

    margin = ((0, 0), (0, 0), (1, 1), (1, 1)) if padded else ((0, 0),) * 4
    first, second = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert first.bias is not None
    assert second.bias is not None
    x1 = np.pad(array(images), margin)
    a1 = np.tanh(convolve(x1, array(first.weight), array(first.bias)))
    x2 = np.pad(a1, margin)
    a2 = np.tanh(convolve(x2, array(second.weight), array(second.bias)))
    n, c, h, w = a2.shape
    windows = a2.reshape(n, c, h // 2, 2, w // 2, 2)
    pooled = windows.max((3, 5)) if pool == "max" else windows.mean((3, 5))
    z = pooled.reshape(n, -1) @ array(network.head.weight).T + array(network.head.bias)
    np.testing.assert_allclose(array(logits), z, atol=1e-12)

    delta = (softmax(z) - np.eye(3)[labels.numpy()]) / n
    np.testing.assert_allclose(array(network.head.weight.grad), delta.T @ pooled.reshape(n, -1), atol=1e-12)
    behind_pool = (delta @ array(network.head.weight)).reshape(pooled.shape)
    delta2 = (1 - a2**2) * pool_backward(a2, behind_pool, pool)
    dx2, dkernel2, dbias2 = convolve_backward(x2, array(second.weight), delta2)
    inner = dx2[:, :, 1:-1, 1:-1] if padded else dx2
    dx1, dkernel1, dbias1 = convolve_backward(x1, array(first.weight), (1 - a1**2) * inner)
    np.testing.assert_allclose(array(second.weight.grad), dkernel2, atol=1e-12)
    np.testing.assert_allclose(array(second.bias.grad), dbias2, atol=1e-12)
    np.testing.assert_allclose(array(first.weight.grad), dkernel1, atol=1e-12)
    np.testing.assert_allclose(array(first.bias.grad), dbias1, atol=1e-12)
    np.testing.assert_allclose(array(images.grad), dx1[:, :, 1:-1, 1:-1] if padded else dx1, atol=1e-12)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_derivative_of_softmax(values: list[float]) -> None:
    """dg_k / dz_j = g_k (1[k = j] - g_j); the rows sum to 0, for the probabilities sum to 1."""
    z = torch.tensor(values, dtype=torch.float64)
    jacobian: Tensor = torch.autograd.functional.jacobian(lambda t: t.softmax(0), z)
    g = softmax(array(z)[None])[0]
    np.testing.assert_allclose(array(jacobian), np.diag(g) - np.outer(g, g), atol=1e-12)
    np.testing.assert_allclose(array(jacobian).sum(axis=1), 0, atol=1e-12)


# A network of 784, 10 and 10 units in NumPy alone, pictures in columns, trained on all pictures at once.


class NumpyNetwork:
    def __init__(self, rng: np.random.Generator) -> None:
        self.w1, self.b1 = rng.uniform(-1, 1, (10, 784)), rng.uniform(-1, 1, (10, 1))
        self.w2, self.b2 = rng.uniform(-1, 1, (10, 10)), rng.uniform(-1, 1, (10, 1))

    def step(self, x: Array, labels: NDArray[np.int64], rate: float) -> float:
        """One step of gradient descent; the loss before it."""
        n = labels.size
        z1 = self.w1 @ x + self.b1
        a1 = np.maximum(z1, 0)
        answer = softmax((self.w2 @ a1 + self.b2).T).T
        delta2 = answer - np.eye(10)[:, labels]
        delta1 = (z1 > 0) * (self.w2.T @ delta2)
        self.w2 -= rate * delta2 @ a1.T / n
        self.b2 -= rate * delta2.mean(axis=1, keepdims=True)
        self.w1 -= rate * delta1 @ x.T / n
        self.b1 -= rate * delta1.mean(axis=1, keepdims=True)
        return float(-np.log(answer[labels, np.arange(n)]).mean())


def test_the_network_in_numpy_and_ours_take_the_same_steps() -> None:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 10, 200)
    # Ten blurred prototypes and noise, 0..1, so that there is something to learn.
    x = np.clip(rng.uniform(0, 1, (784, 10))[:, labels] * 0.7 + rng.uniform(0, 0.3, (784, 200)), 0, 1)
    by_hand = NumpyNetwork(rng)
    network = Mlp(MlpSettings(widths=(10,)), channels=1, size_hw=(28, 28), n_classes=10, axes=Axes()).double()
    first = network.get_submodule("layers.0.0")
    set_weights(first, by_hand.w1, by_hand.b1)
    set_weights(network.head, by_hand.w2, by_hand.b2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    pictures, targets = torch.tensor(x.T).reshape(-1, 1, 28, 28), torch.tensor(labels)
    losses = []
    for _ in range(25):
        loss = F.cross_entropy(network(pictures), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(by_hand.step(x, labels, 0.1))
        assert loss.item() == pytest.approx(losses[-1], rel=1e-9)
    assert losses[-1] < 0.8 * losses[0]
    assert isinstance(first, nn.Linear)
    for ours, theirs in (
        (first.weight, by_hand.w1), (first.bias, by_hand.b1[:, 0]),
        (network.head.weight, by_hand.w2), (network.head.bias, by_hand.b2[:, 0]),
    ):  # fmt: skip
        np.testing.assert_allclose(array(ours), theirs, atol=1e-9)
