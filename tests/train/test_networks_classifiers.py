import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.errors import ExportError, RecipeError
from tombola.export.graph.fold import fold
from tombola.train.networks.axis import Axis
from tombola.train.networks.classify.classifiers import Classifier, NetworkSettings, build_classifier
from tombola.train.networks.classify.cnn import CnnSettings
from tombola.train.networks.classify.highway import HighwayLayer
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.dense_layer import LinearBatchNorm
from tombola.train.recipe.recipe import Section, read_toml, to_toml, validate

CONV_BLOCKS = [[64, 64], [128, 128], [256, 256]]
# One of each kind, small.
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"kind": "mlp", "widths": [12, 8]},
    "mlp, normed": {"kind": "mlp", "widths": [12, 8], "batch_norm": True, "dropout": 0.5},
    "cnn": {"kind": "cnn", "blocks": [[4, 4], [8]], "dense": [12], "block_dropout": 0.2, "dropout": 0.5},
    "cnn, plain": {
        "kind": "cnn", "blocks": [[4], [8]], "kernel": 5, "padding": False, "pool": "average",
        "batch_norm": False, "activation": "tanh",
    },
    "cnn, mean": {"kind": "cnn", "blocks": [[4], [8]], "dense": [], "end": "mean", "activation": "maxout"},
    "resnet18": {"kind": "resnet18", "width": 0.125},
    "resnet50": {"kind": "resnet50", "width": 0.125, "stem": "small"},
    "resnet20": {"kind": "resnet20", "width": 0.5, "dropout": 0.1},
    "resnet20, looking": {"kind": "resnet20", "width": 0.5, "pooling": "attention"},
    "mobilenet_v2": {"kind": "mobilenet_v2", "width": 0.125, "dropout": 0.2},
    "efficientnet_lite0": {"kind": "efficientnet_lite0", "width": 0.125},
    "densenet": {"kind": "densenet", "blocks": [2, 3], "growth": 4, "dropout": 0.2},
    "densenet, large": {"kind": "densenet", "blocks": [1, 1, 1], "growth": 4, "stem": "large"},
    "highway": {"kind": "highway", "width": 9, "depth": 3},
}  # fmt: skip


class Recipe(Section):
    network: NetworkSettings


def parsed(table: dict[str, Any]) -> NetworkSettings:
    return validate(Recipe, {"network": table}, Path("recipe.toml")).network


def build(
    table: dict[str, Any], *, channels: int = 1, size_hw: tuple[int, int] = (28, 28), n_classes: int = 10
) -> Classifier:
    torch.manual_seed(0)
    return build_classifier(parsed(table), channels=channels, size_hw=size_hw, n_classes=n_classes)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def warmed(network: nn.Module, *shape: int) -> nn.Module:
    """In eval mode, after batches that moved the running statistics and norms with weights of their own."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    with torch.no_grad():
        for _ in range(3):
            network(2 * torch.randn(8, *shape) + 1)
    return network.eval()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("channels", "size_hw", "n_classes"), [(1, (32, 32), 10), (3, (41, 33), 2)])
def test_logits_have_one_column_a_class_and_pictures_do_not_mix(
    name: str, channels: int, size_hw: tuple[int, int], n_classes: int
) -> None:
    network = warmed(
        build(SMALL[name], channels=channels, size_hw=size_hw, n_classes=n_classes), channels, *size_hw
    )
    images = torch.randn(3, channels, *size_hw)
    logits = network(images)
    assert logits.shape == (3, n_classes)
    assert logits.dtype == torch.float32
    for row in range(3):
        torch.testing.assert_close(network(images[row : row + 1])[0], logits[row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_every_weight_learns_and_the_last_layer_is_the_head(name: str) -> None:
    network = build(SMALL[name], size_hw=(32, 32))
    F.cross_entropy(network(torch.randn(16, 1, 32, 32)), torch.arange(16) % 10).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.abs().max() > 0, path
    assert isinstance(network.head, nn.Linear)
    assert [path for path, _ in network.named_parameters()][-2:] == ["head.weight", "head.bias"]


@pytest.mark.parametrize(
    ("table", "channels", "side", "n_classes", "parameters"),
    [
        # LeCun et al. 1998, and Frankle & Carbin 2019, figure 2 (266K).
        ({"kind": "mlp", "widths": [300, 100]}, 1, 28, 10, 266_610),
        ({"kind": "mlp", "widths": [512, 512]}, 1, 28, 10, 785 * 512 + 513 * 512 + 513 * 10),
        (
            {
                "kind": "cnn", "blocks": [[6], [16]], "kernel": 5, "padding": False, "dense": [120, 84],
                "batch_norm": False,
            },
            3, 32, 10,
            (75 + 1) * 6 + (150 + 1) * 16 + (16 * 5 * 5 + 1) * 120 + 121 * 84 + 85 * 10,
        ),
        # Frankle & Carbin 2019, figure 2: 4.3M and 2.4M for the first two.
        ({"kind": "cnn", "blocks": CONV_BLOCKS[:1], "dense": [256, 256], "batch_norm": False}, 3, 32, 10,
         28 * 64 + 577 * 64 + (64 * 256 + 1) * 256 + 257 * 256 + 2570),
        ({"kind": "cnn", "blocks": CONV_BLOCKS[:2], "dense": [256, 256], "batch_norm": False}, 3, 32, 10,
         28 * 64 + 577 * 64 + 577 * 128 + 1153 * 128 + (128 * 64 + 1) * 256 + 257 * 256 + 2570),
        ({"kind": "cnn", "blocks": CONV_BLOCKS, "dense": [256, 256], "batch_norm": False}, 3, 32, 10,
         28 * 64 + 577 * 64 + 577 * 128 + 1153 * 128 + 1153 * 256 + 2305 * 256
         + (256 * 16 + 1) * 256 + 257 * 256 + 2570),
        # The counts that torchvision publishes for ImageNet.
        ({"kind": "resnet18", "initialisation": "default"}, 3, 224, 1000, 11_689_512),
        ({"kind": "resnet34", "initialisation": "default"}, 3, 224, 1000, 21_797_672),
        ({"kind": "resnet50", "initialisation": "default"}, 3, 224, 1000, 25_557_032),
        ({"kind": "mobilenet_v2", "initialisation": "default"}, 3, 224, 1000, 3_504_872),
        ({"kind": "efficientnet_lite0", "initialisation": "default"}, 3, 224, 1000, 4_652_008),
        ({"kind": "efficientnet_lite2", "initialisation": "default"}, 3, 224, 1000, 6_092_072),
        ({"kind": "densenet", "blocks": [6, 12, 24, 16], "growth": 32, "stem": "large"}, 3, 224, 1000,
         7_978_856),
        # He et al. 2016, table 6: 0.27M, of which two 1×1 shortcuts with their norms are ours.
        ({"kind": "resnet20"}, 3, 32, 10, 269_722 + (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)),
        # Huang et al. 2017, table 2: 0.8M for depth 100 and growth 12.
        ({"kind": "densenet"}, 3, 32, 10, 769_162),
        # A plain layer, and two of equal size in each highway layer.
        ({"kind": "highway", "width": 50, "depth": 9}, 1, 28, 10, 785 * 50 + 9 * 2 * 51 * 50 + 510),
    ],
)  # fmt: skip
def test_parameter_counts_are_the_published_ones(
    table: dict[str, Any], channels: int, side: int, n_classes: int, parameters: int
) -> None:
    network = build(table, channels=channels, size_hw=(side, side), n_classes=n_classes)
    assert count(network) == parameters


@pytest.mark.parametrize("name", SMALL)
def test_settings_survive_a_recipe_file(name: str, tmp_path: Path) -> None:
    settings = parsed(SMALL[name])
    (tmp_path / "recipe.toml").write_text(to_toml(Recipe(network=settings)), encoding="utf-8")
    assert validate(Recipe, read_toml(tmp_path / "recipe.toml"), tmp_path / "recipe.toml").network == settings


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "vgg"}, "vgg"),
        ({"widths": [3]}, "kind"),
        ({"kind": "mlp", "width": 3}, r"network\.width is not a known key; other kinds"),
        ({"kind": "mlp", "widths": [0]}, "greater than or equal to 1"),
        ({"kind": "mlp", "activation": "swish"}, "activation = 'swish'"),
        ({"kind": "mlp", "dropout": 1.0}, "dropout"),
        ({"kind": "cnn", "blocks": [[]]}, "blocks"),
        ({"kind": "cnn", "kernel": 4}, "kernel = 4 cannot keep the sides"),
        ({"kind": "resnet20", "stem": "large"}, "stem is not a known key"),
        ({"kind": "densenet", "compression": 0}, "compression"),
        ({"kind": "highway", "depth": 0}, "depth"),
    ],
)
def test_wrong_settings_are_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parsed(table)


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "cnn", "blocks": [[4]] * 4},
        {"kind": "cnn", "blocks": [[4], [4]], "kernel": 7, "padding": False},
        {"kind": "densenet", "blocks": [1, 1, 1], "stem": "large"},
    ],
)
def test_pictures_that_are_too_small_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"network\.blocks.*\[15, 40\]"):
        build(table, size_hw=(15, 40))


def test_photos_for_inverted_residuals_have_a_cell_left() -> None:
    with pytest.raises(RecipeError, match=r"'efficientnet_lite0' needs pictures of at least 32.*\[31, 64\]"):
        build({"kind": "efficientnet_lite0"}, size_hw=(31, 64))


# First weights.


def first_weights(name: str) -> tuple[Tensor, Tensor]:
    """Weights 512 -> 256 of a hidden layer, and its biases."""
    network = build({"kind": "mlp", "widths": [512, 256], "initialisation": name})
    layer = network.get_submodule("layers.1.0")
    assert isinstance(layer, nn.Linear)
    return layer.weight.detach(), layer.bias.detach()


def test_xavier_is_uniform_within_its_bound() -> None:
    weight, bias = first_weights("xavier")
    bound = math.sqrt(6 / (512 + 256))
    assert 0.999 * bound < weight.abs().max().item() <= bound
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (512 + 256)), rel=0.01)
    assert weight.mean().item() == pytest.approx(0, abs=5 * bound / math.sqrt(3 * weight.numel()))
    assert not bias.any()


@pytest.mark.parametrize(("name", "deviation"), [("he", math.sqrt(2 / 512)), ("normal", 0.1)])
def test_he_and_normal_are_gaussian(name: str, deviation: float) -> None:
    weight, bias = first_weights(name)
    assert weight.std().item() == pytest.approx(deviation, rel=0.01)
    within = (weight.abs() < deviation).float().mean().item()
    assert within == pytest.approx(0.6827, abs=0.01)
    assert not bias.any()


def test_he_counts_the_fan_in_of_a_convolution() -> None:
    network = build({"kind": "cnn", "blocks": [[64, 64]], "batch_norm": False, "initialisation": "he"})
    second = network.get_submodule("blocks.0.2")
    assert isinstance(second, nn.Conv2d)
    assert second.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)


def test_zeros_know_nothing_and_cannot_learn() -> None:
    network = build({"kind": "mlp", "initialisation": "zeros"})
    loss = F.cross_entropy(network(torch.randn(8, 1, 28, 28)), torch.zeros(8, dtype=torch.int64))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(10))
    moved = [path for path, p in network.named_parameters() if p.grad is not None and p.grad.any()]
    assert moved == ["head.bias"]


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "mlp"},
        {"kind": "mlp", "initialisation": "xavier"},
        {"kind": "mlp", "initialisation": "he"},
        {"kind": "cnn"},
        {"kind": "cnn", "batch_norm": False, "initialisation": "xavier"},
        {"kind": "resnet20"},
        {"kind": "densenet", "blocks": [4, 4, 4]},
        {"kind": "highway"},
    ],
)  # fmt: skip
def test_the_first_loss_is_near_that_of_a_guess(table: dict[str, Any]) -> None:
    network = build(table)
    loss = F.cross_entropy(network(torch.randn(64, 1, 28, 28)), torch.arange(64) % 10)
    assert loss.item() == pytest.approx(math.log(10), abs=0.35)


def test_first_weights_follow_the_seed() -> None:
    table = {"kind": "cnn", "initialisation": "he"}
    once, again = build(table).state_dict(), build(table).state_dict()
    assert all(torch.equal(once[name], again[name]) for name in once)


def test_he_carries_a_signal_through_twenty_layers_and_a_small_gaussian_loses_it() -> None:
    def ratio(initialisation: str) -> float:
        layers = build({"kind": "mlp", "widths": [64] * 20, "initialisation": initialisation}).layers
        assert isinstance(layers, nn.Sequential)
        with torch.no_grad():
            first = layers[0](torch.randn(256, 784))
            last = layers[1:](first)
        return float(last.std() / first.std())

    assert 0.1 < ratio("he") < 10
    assert ratio("normal") < 0.05  # each layer keeps 0.1 · sqrt(64 / 2) = 0.57 of the deviation


# Highway layers.


def test_highway_layer_mixes_its_input_and_its_transform() -> None:
    torch.manual_seed(0)
    layer, x = HighwayLayer(Axis("layers", 5), "tanh"), torch.randn(7, 5)
    transform = np.tanh(x.numpy() @ layer.plain.weight.detach().numpy().T + layer.plain.bias.detach().numpy())
    gate = 1 / (
        1 + np.exp(-(x.numpy() @ layer.gate.weight.detach().numpy().T + layer.gate.bias.detach().numpy()))
    )
    np.testing.assert_allclose(
        layer(x).detach().numpy(), gate * transform + (1 - gate) * x.numpy(), rtol=1e-5, atol=1e-6
    )


def test_a_closed_gate_passes_its_input_and_an_open_one_its_transform() -> None:
    closed = build({"kind": "highway", "width": 6, "depth": 4, "gate_bias": -60.0})
    assert isinstance(closed.layers, nn.Sequential)
    x = torch.randn(5, 6)
    torch.testing.assert_close(closed.layers[1:](x), x)
    layer = build({"kind": "highway", "width": 6, "depth": 1, "gate_bias": 60.0}).get_submodule("layers.1")
    assert isinstance(layer, HighwayLayer)
    torch.testing.assert_close(layer(x), layer.plain(x).relu())


@pytest.mark.parametrize("initialisation", ["default", "xavier", "he", "zeros", "normal"])
def test_first_weights_leave_the_gates_nearly_closed(initialisation: str) -> None:
    network = build({"kind": "highway", "initialisation": initialisation})
    gates = [m.gate.bias for m in network.modules() if isinstance(m, HighwayLayer)]
    assert len(gates) == 10
    assert all((bias == -2).all() for bias in gates)


def test_gradients_reach_the_first_of_fifty_highway_layers_and_not_of_fifty_sigmoids() -> None:
    def reach(table: dict[str, Any]) -> float:
        network = build(table)
        F.cross_entropy(network(torch.randn(32, 1, 28, 28)), torch.arange(32) % 10).backward()
        norms = [p.grad.norm().item() for p in network.parameters() if p.grad is not None and p.ndim == 2]
        return float(norms[0] / norms[-1])

    assert reach({"kind": "highway", "width": 32, "depth": 49}) > 1e-3
    assert reach({"kind": "mlp", "widths": [32] * 50, "activation": "sigmoid"}) < 1e-20


# Folding.


class Unfolded(nn.Module):
    """A normed layer as it is written in the papers: two steps, then the activation."""

    def __init__(self, layer: ConvBatchNorm | LinearBatchNorm) -> None:
        super().__init__()
        self.weighted = layer.conv if isinstance(layer, ConvBatchNorm) else layer.linear
        self.norm, self.activation = layer.norm, layer.activation
        uneven = layer.uneven if isinstance(layer, ConvBatchNorm) else None
        self.pad = nn.ZeroPad2d(uneven) if uneven else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.weighted(self.pad(x))))  # type: ignore[no-any-return]


def unfolded(network: nn.Module) -> nn.Module:
    twin = copy.deepcopy(network)
    for path, module in list(twin.named_modules()):
        if isinstance(module, ConvBatchNorm | LinearBatchNorm):
            parent, _, child = path.rpartition(".")
            setattr(twin.get_submodule(parent), child, Unfolded(module))
    return twin.eval()


@pytest.mark.parametrize("name", SMALL)
def test_folding_keeps_the_answers(name: str) -> None:
    network = warmed(build(SMALL[name], size_hw=(32, 32)), 1, 32, 32)
    images = torch.randn(4, 1, 32, 32)
    expected = unfolded(network)(images)
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)
    folded = fold(network)
    torch.testing.assert_close(folded(images), expected, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, ConvBatchNorm | LinearBatchNorm) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("mlp, normed", 0), ("cnn", 0), ("cnn, mean", 0), ("resnet18", 0), ("resnet50", 0), ("resnet20", 0),
        # A norm before the ReLU and the convolution of a layer, a transition or the end has no kernel before
        # it that is its alone.
        ("densenet", 2 + 3 + 1 + 1), ("densenet, large", 3 + 2 + 1),
    ],
)  # fmt: skip
def test_folding_leaves_only_norms_that_have_no_kernel_of_their_own(name: str, left: int) -> None:
    folded = fold(build(SMALL[name]))
    assert sum(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in folded.modules()) == left


def test_folding_refuses_statistics_that_are_not_numbers() -> None:
    network = build(SMALL["mlp, normed"])
    layer = network.get_submodule("layers.1.0")
    assert isinstance(layer, LinearBatchNorm)
    assert layer.norm.running_var is not None
    layer.norm.running_var[2] = -1.0
    with pytest.raises(ExportError, match=r"layers\.1\.0\.weight"):
        fold(network)


@torch.no_grad()
def test_a_mean_needs_one_cell_of_the_last_map() -> None:
    settings = CnnSettings(blocks=((2,), (2,), (2,), (2,)), end="mean")
    network = build_classifier(settings, channels=1, size_hw=(8, 8), n_classes=3).eval()
    assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 3)
    with pytest.raises(RecipeError, match=r"blocks\[3\].*2×2 cells"):
        build_classifier(
            settings.model_copy(update={"end": "flatten"}), channels=1, size_hw=(8, 8), n_classes=3
        )
