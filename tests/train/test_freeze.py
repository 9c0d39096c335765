"""Layers that keep their weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes
from tombola.train.networks.caption.captioner import Captioner, CaptionerSettings
from tombola.train.networks.classify.classifiers import NetworkSettings, build_classifier
from tombola.train.networks.classify.cnn import CnnSettings
from tombola.train.networks.classify.densenet import DenseNetSettings
from tombola.train.networks.classify.mlp import MlpSettings
from tombola.train.start.freeze import freeze_up_to, layer_names, rest_frozen
from tombola.train.start.start import load_start

SMALL_CNN = CnnSettings(blocks=((4,), (8,)), dense=(12,), block_dropout=0.5)


def build(settings: NetworkSettings, n_classes: int = 10, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_classifier(settings, channels=3, size_hw=(32, 32), n_classes=n_classes)


def test_layers_are_listed_in_the_order_of_the_forward_pass() -> None:
    assert layer_names(build(SMALL_CNN)) == ("blocks.0", "blocks.1", "dense.0", "head")
    assert layer_names(build(MlpSettings())) == ("layers.0", "layers.1", "head")
    assert layer_names(build(DenseNetSettings(blocks=(1, 1)))) == (
        "stem.0", "stages.0", "stages.1", "norm", "head",
    )  # fmt: skip


def test_the_stages_of_a_backbone_inside_of_an_encoder_are_listed() -> None:
    captioner = Captioner(CaptionerSettings(width=0.25, features=8), 9, Axes(), (32, 32))
    stages = tuple(f"encoder.backbone.stages.{number}" for number in range(8))
    assert layer_names(captioner) == (*stages, "encoder.last", "features", "decoder")
    assert freeze_up_to(captioner, stages[4])[-1].startswith(stages[4])
    with pytest.raises(RecipeError, match=r"the layers are encoder\.backbone\.stages\.0, "):
        freeze_up_to(captioner, "encoder.stages.4")


@pytest.mark.parametrize(
    ("layer", "frozen_layers"),
    [
        ("blocks.0", ("blocks.0",)),
        ("blocks", ("blocks.0", "blocks.1")),
        ("dense.0", ("blocks.0", "blocks.1", "dense.0")),
    ],
)
def test_frozen_layers_do_not_move_and_the_others_do(
    layer: str, frozen_layers: tuple[str, ...], tmp_path: Path
) -> None:
    save_file(build(SMALL_CNN, seed=1).state_dict(), tmp_path / "best.safetensors")
    network = build(SMALL_CNN, n_classes=4)
    load_start(network, tmp_path / "best.safetensors", fresh=("head.",))
    frozen = freeze_up_to(network, layer)
    expected = {name for name, _ in network.named_parameters() if name.startswith(frozen_layers)}
    assert set(frozen) == expected
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network.train()
    rest_frozen(network)
    for _ in range(2):
        loss = F.cross_entropy(network(torch.randn(8, 3, 32, 32) * 3 + 1), torch.arange(8) % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, value in network.state_dict().items():
        # Statistics and counters of batch norms are state as well.
        assert torch.equal(value, before[name]) == name.startswith(frozen_layers), name


def test_frozen_parts_are_held_even_inside_a_wrapper() -> None:
    network = build(SMALL_CNN)
    freeze_up_to(network, "blocks.0")
    wrapper = nn.Sequential(network).train()
    rest_frozen(wrapper)
    frozen, free = network.get_submodule("blocks.0"), network.get_submodule("blocks.1")
    assert not any(module.training for module in frozen.modules())
    assert all(module.training for module in free.modules())


@pytest.mark.parametrize("layer", ["block.0", "blocks.0.1", ""])
def test_an_unknown_layer_is_refused_with_the_list(layer: str) -> None:
    with pytest.raises(RecipeError, match=r"start\.freeze.*blocks\.0, blocks\.1, dense\.0, head"):
        freeze_up_to(build(SMALL_CNN), layer)


def test_freezing_everything_is_refused() -> None:
    with pytest.raises(RecipeError, match="nothing to train"):
        freeze_up_to(build(SMALL_CNN), "head")
