"""Which channels live and die together: what our layers say of it, held to what Torch-Pruning (Fang et al.
2023) finds by following the network's gradients."""

import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.backbones.backbones import build_backbone
from tombola.train.networks.classify.classifiers import build_classifier
from tombola.train.networks.classify.cnn import CnnSettings
from tombola.train.networks.classify.densenet import DenseNetSettings
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.dense_layer import LinearBatchNorm
from tombola.train.prune.shrink import entries_of, free_axes, is_writer

pytestmark = pytest.mark.slow
pruning = pytest.importorskip("torch_pruning")

Places = set[tuple[str, int, tuple[int, ...]]]


@pytest.fixture(autouse=True)
def layers_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """In eval mode a layer and its norm are one, which the other library cannot follow."""

    def convolve(self: ConvBatchNorm, x: Tensor) -> Tensor:
        x = F.pad(x, self.uneven) if self.uneven else x
        return self.activation(self.norm(self.conv(x)))  # type: ignore[no-any-return]

    def multiply(self: LinearBatchNorm, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.linear(x)))  # type: ignore[no-any-return]

    monkeypatch.setattr(ConvBatchNorm, "forward", convolve)
    monkeypatch.setattr(LinearBatchNorm, "forward", multiply)


SETTINGS: dict[str, CnnSettings | DenseNetSettings] = {
    "cnn": CnnSettings(blocks=((8, 8), (16,)), end="flatten", dense=(12, 6)),
    "densenet": DenseNetSettings(blocks=(3, 2), growth=8),
}


class Deepest(nn.Module):
    """A backbone's last map."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.backbone = build_backbone(name, strides=(8, 16, 32), width=0.25)

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(images)[-1]  # type: ignore[no-any-return]


def theirs(network: nn.Module, graph: object, tensor: str, channels: list[int]) -> Places:
    """Tensor, dimension and entries that go with these channels of a convolution's output."""
    names = {module: name for name, module in network.named_modules()}
    layer = network.get_submodule(tensor.rpartition(".")[0])
    prune = (
        pruning.prune_linear_out_channels if isinstance(layer, nn.Linear) else pruning.prune_conv_out_channels
    )
    group = graph.get_pruning_group(layer, prune, channels)  # type: ignore[attr-defined]
    found: Places = set()
    for dependency, entries in group:
        target = dependency.target.module
        if target not in names:
            continue  # a sum, an activation
        at = (names[target], tuple(sorted(entries)))
        found |= set(_places(target, *at, reads="in_channels" in dependency.handler.__name__))
    return found


def _places(
    target: nn.Module, name: str, entries: tuple[int, ...], *, reads: bool
) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    if isinstance(target, nn.Conv2d | nn.Linear):
        depthwise = isinstance(target, nn.Conv2d) and target.groups > 1
        yield f"{name}.weight", int(reads and not depthwise), entries
        if target.bias is not None and not reads:
            yield f"{name}.bias", 0, entries
    elif isinstance(target, nn.BatchNorm2d | nn.BatchNorm1d):
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"{name}.{part}", 0, entries


def network_of(name: str) -> nn.Module:
    if name not in SETTINGS:
        return Deepest(name)
    return build_classifier(SETTINGS[name], channels=3, size_hw=(64, 64), n_classes=5)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", "efficientnet_lite0", *SETTINGS])
def test_axes_are_what_gradients_tie_together(name: str) -> None:
    torch.manual_seed(0)
    network = network_of(name).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = pruning.DependencyGraph().build_dependency(network, torch.zeros(1, 3, 64, 64))
    compared = 0
    for axis, places in free_axes(network).items():
        writer = next(member for member in places if is_writer(network, member))
        channels = sorted(torch.randperm(axis.width)[: axis.width // 2].tolist())
        ours = {(one.tensor, one.dim, tuple(entries_of(one, channels).tolist())) for one in places}
        assert theirs(network, graph, writer.tensor, channels) == ours, axis.name
        compared += len(ours)
    assert compared >= 20
