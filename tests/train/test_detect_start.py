"""What a detector starts from: a run, a whole detector's file, or ImageNet weights of its backbone."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tombola.errors import RecipeError, TrainingError
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.detect.task import DetectTask
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_recipe

LAST = ("roi_head.classes.", "roi_head.offsets.")


def detector(recipe: Path, *changes: str) -> DetectTask:
    return DetectTask(load_recipe(recipe, changes))


@pytest.fixture
def run(toy_recipe: Path, tmp_path: Path) -> RunFolder:
    """A run folder whose best weights are those of another seed, statistics as a training leaves them."""
    task, folder = detector(toy_recipe, "seed=77"), RunFolder(tmp_path / "run")
    network = task.build_network()
    for name, buffer in network.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    folder.write_recipe(task.recipe_toml())
    folder.write_lineage(task.lineage())
    folder.write_weights("best", network.state_dict(), {})
    return folder


def taken(network: dict[str, Tensor], file: dict[str, Tensor]) -> set[str]:
    """Names of the tensors that are as the file has them, counters of batches apart."""
    return {
        name
        for name, tensor in network.items()
        if "num_batches" not in name and name in file and torch.equal(tensor, file[name])
    }


def test_a_run_with_the_same_classes_gives_all_its_weights(toy_recipe: Path, run: RunFolder) -> None:
    task = detector(toy_recipe, f"start.weights={run.path}", "start.freeze=backbone.stages.0")
    network, file = task.build_network(), run.read_weights("best")
    assert taken(network.state_dict(), file) == {name for name in file if "num_batches" not in name}
    assert not network.backbone.stages[0].conv.weight.requires_grad  # type: ignore[union-attr]
    digest = hashlib.sha256(run.weights_path("best").read_bytes()).hexdigest()
    assert task.lineage()["parent"] == {
        "file": "best.safetensors",
        "sha256": digest,
        "last_layer": "kept",
    }
    named = {id(parameter): name for name, parameter in network.named_parameters()}
    for group in task.parameter_groups(network):
        for parameter in group["params"]:
            new = named[id(parameter)].startswith(LAST)
            assert group["rate"] == (1.0 if new else task.settings.backbone_rate)


def test_other_classes_get_last_layers_of_their_own(toy_recipe: Path, run: RunFolder, tmp_path: Path) -> None:
    """The same names in another order; and a file that does not say what its classes are."""
    (tmp_path / "bare.safetensors").write_bytes(run.weights_path("best").read_bytes())
    file, fresh = run.read_weights("best"), detector(toy_recipe).build_network().state_dict()
    for changes in (
        [f"start.weights={run.path}", "data.classes=['blue', 'red']"],
        [f"start.weights={tmp_path}/bare.safetensors"],
    ):
        task = detector(toy_recipe, *changes)
        network = task.build_network().state_dict()
        last = {name for name in file if name.startswith(LAST) and name.endswith("weight")}
        assert len(last) == 2
        for name in last:
            assert torch.equal(network[name], fresh[name])
        expected = {name for name in file if "num_batches" not in name and not name.startswith(LAST)}
        assert expected <= taken(network, file)
        assert task.lineage()["parent"]["last_layer"] == "made anew"


def test_a_run_that_saw_other_numbers_is_refused(toy_recipe: Path, run: RunFolder) -> None:
    task = detector(toy_recipe, f"start.weights={run.path}", "picture.mean=[1, 2, 3]")
    with pytest.raises(RecipeError, match=r"picture\.mean is \[1\.0, 2\.0, 3\.0\], but .*; set it so"):
        task.build_network()


def test_imagenet_weights_fill_the_backbone_alone(toy_recipe: Path, tmp_path: Path) -> None:
    weights = tmp_path / "public.pth"
    body = detector(toy_recipe, "seed=77", "network.backbone=resnet18").build_network().backbone
    public = torchvision_names(body.state_dict())
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in public.items()}}, weights)
    task = detector(
        toy_recipe, "network.backbone=resnet18", f"start.weights={weights}", "network.batch_norm=auto"
    )
    network = task.build_network()
    fresh = detector(toy_recipe, "network.backbone=resnet18").build_network().state_dict()
    for name, tensor in network.state_dict().items():
        expected = (
            fresh
            if not name.startswith("backbone.")
            else {f"backbone.{k}": v for k, v in body.state_dict().items()}
        )
        assert torch.equal(tensor, expected[name]), name
    named = {id(parameter): name for name, parameter in network.named_parameters()}
    for group in task.parameter_groups(network):
        old = {named[id(parameter)].startswith("backbone.") for parameter in group["params"]}
        assert old == {group["rate"] == task.settings.backbone_rate}
    assert task.lineage()["parent"]["last_layer"] == "made anew"
    task.prepare(network, Moment(0, 0, 1))
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)  # the statistics of the weights are kept


def test_weights_of_a_classifier_are_told(toy_recipe: Path, tmp_path: Path) -> None:
    save_file({"head.weight": torch.zeros(3, 4)}, tmp_path / "head.safetensors")
    task = detector(toy_recipe, f"start.weights={tmp_path}/head.safetensors")
    with pytest.raises(TrainingError, match=r"head\.safetensors has nothing for stages\.0\."):
        task.build_network()


def torchvision_names(body: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of our ResNet-18 under torchvision's names, written out once more to be independent."""
    names = {}
    for part in ("weight", "bias", "running_mean", "running_var"):
        names[f"bn1.{part}"] = f"stages.0.0.norm.{part}"
    names["conv1.weight"] = "stages.0.0.conv.weight"
    for layer in range(1, 5):
        for block in range(2):
            ours, theirs = f"stages.{layer}.{block}", f"layer{layer}.{block}"
            for number in (1, 2):
                names[f"{theirs}.conv{number}.weight"] = f"{ours}.body.{number - 1}.conv.weight"
                for part in ("weight", "bias", "running_mean", "running_var"):
                    names[f"{theirs}.bn{number}.{part}"] = f"{ours}.body.{number - 1}.norm.{part}"
            if layer > 1 and block == 0:
                names[f"{theirs}.downsample.0.weight"] = f"{ours}.shortcut.conv.weight"
                for part in ("weight", "bias", "running_mean", "running_var"):
                    names[f"{theirs}.downsample.1.{part}"] = f"{ours}.shortcut.norm.{part}"
    return {theirs: body[ours].clone() for theirs, ours in names.items()}
