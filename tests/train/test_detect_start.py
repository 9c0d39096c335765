"""What a detector starts from: a run, a whole detector's file, or ImageNet weights of its backbone."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tombola.errors import RecipeError, TrainingError
from tombola.export.graph.fold import fold
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
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


def write_model(path: Path, network: FasterRCNN, classes: Sequence[str], **metadata: str) -> None:
    """An .onnx file with nothing but what a training reads of it: folded weights, classes, the card."""
    weights = {
        **fold(network).state_dict(),
        "picture_input.mean": torch.full((1, 3, 1, 1), 127.0),
        "picture_input.scale": torch.full((1, 3, 1, 1), 1 / 128),
    }
    tensors = [onnx.numpy_helper.from_array(value.numpy(), name) for name, value in weights.items()]
    model = onnx.helper.make_model(onnx.helper.make_graph([], "weights", [], [], tensors))
    told = {
        "tombola.task": "detect",
        "tombola.labels": json.dumps(list(classes)),
        "tombola.card": json.dumps({"data": "our own"}),
        **metadata,
    }
    onnx.helper.set_model_props(model, told)
    onnx.save(model, str(path))


@pytest.fixture
def model(toy_recipe: Path, run: RunFolder, tmp_path: Path) -> Path:
    """The file of the run."""
    network = detector(toy_recipe).build_network()
    run.load(network, "best")
    write_model(tmp_path / "toy.onnx", network, ("red", "blue"))
    return tmp_path / "toy.onnx"


def folded_weights(network: FasterRCNN) -> dict[str, Tensor]:
    return fold(network).state_dict()


def test_a_model_file_gives_all_its_weights_where_classes_are_the_same(
    toy_recipe: Path, run: RunFolder, model: Path
) -> None:
    task = detector(toy_recipe, f"start.weights={model}")
    network, trained = task.build_network(), detector(toy_recipe).build_network()
    run.load(trained, "best")
    wanted = folded_weights(trained)
    for name, tensor in folded_weights(network).items():
        assert torch.allclose(tensor, wanted[name], atol=1e-6), name
    parent = task.lineage()["parent"]
    assert (parent["file"], parent["last_layer"], parent["data"]) == ("toy.onnx", "kept", "our own")


def test_other_classes_replace_the_last_layers_of_a_model_file(
    toy_recipe: Path, run: RunFolder, model: Path
) -> None:
    changes = (f"start.weights={model}", "data.classes=['blue', 'red']")
    task = detector(toy_recipe, *changes)
    network, fresh = task.build_network(), detector(toy_recipe, changes[1]).build_network()
    own, new, file = folded_weights(network), folded_weights(fresh), run.read_weights("best")
    for name in own:
        if name.startswith(LAST):
            assert torch.equal(own[name], new[name])
    assert torch.equal(own["neck.laterals.0.weight"], file["neck.laterals.0.weight"])
    assert task.lineage()["parent"]["last_layer"] == "made anew"
    # It trains: its norms keep the statistics that change nothing.
    task.prepare(network, Moment(0, 0, 1))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)


def test_a_model_file_that_does_not_fit_is_told(toy_recipe: Path, model: Path) -> None:
    for changes, error, message in (
        (["network.batch_norm=trained"], TrainingError, "those of this network learn"),
        (["picture.mean=[1.0, 2.0, 3.0]"], RecipeError, "was trained with"),
        (["network.channels=24"], TrainingError, "make network and picture those of the weights"),
    ):
        with pytest.raises(error, match=message):
            detector(toy_recipe, f"start.weights={model}", *changes).build_network()
    network = detector(toy_recipe).build_network()
    write_model(model, network, ("red", "blue"), **{"tombola.task": "classify"})
    with pytest.raises(TrainingError, match="is for classify, the recipe for detect"):
        detector(toy_recipe, f"start.weights={model}").build_network()
