"""Learning from another network: there is nothing to learn from an equal one, and each wrong one is told."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tombola.errors import RecipeError, TrainingError
from tombola.export.run import export_run
from tombola.train.loop.learn.gradient_learner import GradientLearner
from tombola.train.networks.detect.lesson import map_distance
from tombola.train.networks.layers.soft_labels import soft_label_distance
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.classify.task import ClassifyTask
from tombola.train.tasks.detect.task import DetectTask
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_recipe, open_task
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

NOW = Moment(0, 0, 1)


def test_the_distance_of_soft_labels_is_the_divergence_of_softened_shares() -> None:
    logits, told = np.array([[2.0, 0.0, -1.0]]), np.array([[0.0, 1.0, 0.5]])
    own, other = (np.exp(x / 3) / np.exp(x / 3).sum() for x in (logits, told))
    expected = 9 * (other * np.log(other / own)).sum()
    found = soft_label_distance(torch.tensor(logits), torch.tensor(told), 3.0)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_maps_of_another_width_are_compared_through_their_best_adaptor() -> None:
    torch.manual_seed(3)
    maps = [torch.randn(2, 6, 9, 7), torch.randn(2, 6, 4, 3)]
    mixed = [torch.einsum("bchw,cd->bdhw", one, torch.randn(6, 4)) for one in maps]
    # One adaptor serves both levels, and these were mixed alike.
    alike = torch.randn(6, 4)
    spanned = [torch.einsum("bchw,cd->bdhw", one, alike) for one in maps]
    assert map_distance(maps, maps).item() == 0
    assert map_distance(maps, spanned).item() < 1e-6
    assert map_distance(spanned, maps).item() > 0.1  # four channels cannot tell of six
    assert map_distance(maps, mixed).item() > 0.1
    assert map_distance([2 * one for one in maps], maps).item() == pytest.approx(1)


@pytest.fixture(scope="module")
def dense(make_toy_recipe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("dense")
    return train_recipe(make_toy_recipe(folder), folder / "run", device="cpu", quiet=True)


def taught_parts(dense: RunFolder, recipe: Path, teacher: Path, *overrides: str) -> dict[str, float]:
    """Parts of the first loss with the teacher's, of a network that begins as the dense one."""
    task = DetectTask(load_recipe(recipe, (f"distill.teacher={teacher}", *overrides)))
    weights = None if overrides else dense.read_weights("best")
    learner = GradientLearner(task, Fabric(accelerator="cpu", devices=1), weights=weights)
    examples = task.examples(augmented=False)
    batch = task.collate([examples[request] for request in task.plan_epoch(0)[0]])
    losses = learner.losses(batch, NOW)
    torch.stack(list(losses.values())).sum().backward()
    return {name: part.item() for name, part in losses.items()}


def test_an_equal_network_has_nothing_to_learn(dense: RunFolder, toy_recipe: Path) -> None:
    parts = taught_parts(dense, toy_recipe, dense.path)
    taught = {name: part for name, part in parts.items() if name.startswith("taught_")}
    assert len(taught) == 5
    assert len(parts) == 9
    assert max(taught.values()) < 1e-5


@pytest.mark.slow
def test_the_file_of_an_equal_network_is_as_good_a_teacher(
    dense: RunFolder, toy_recipe: Path, tmp_path: Path
) -> None:
    parts = taught_parts(dense, toy_recipe, export_run(dense.path, tmp_path / "dense.onnx").path)
    # Its weights have two bytes.
    assert max(part for name, part in parts.items() if name.startswith("taught_")) < 1e-3


def test_a_narrower_network_learns_from_it(dense: RunFolder, toy_recipe: Path, tmp_path: Path) -> None:
    for network in ("network.channels=8", "roi.width=16"):
        parts = taught_parts(dense, toy_recipe, dense.path, network)
        assert all(0 < part < 100 for name, part in parts.items() if name.startswith("taught_"))
    overrides = ("network.channels=8", f"distill.teacher={dense.path}", "training.epochs=1")
    run = train_recipe(toy_recipe, tmp_path / "narrow", overrides=overrides, device="cpu", quiet=True)
    assert run.read_metrics()[0]["loss_taught_maps"] > 0
    assert run.read_lineage()["teacher"] == "run"


def test_teachers_that_do_not_fit(
    dense: RunFolder, toy_recipe: Path, digits_recipe: Path, tmp_path: Path
) -> None:
    teacher = f"distill.teacher={dense.path}"
    with pytest.raises(RecipeError, match=r"proposals.anchor_sizes_px of distill.teacher is \(\(12.0,\)"):
        open_task(toy_recipe, (teacher, "proposals.anchor_sizes_px=[[8], [16], [32]]")).load_teacher()  # type: ignore[attr-defined]
    with pytest.raises(RecipeError, match=r"picture.mean is .* was trained with"):
        open_task(toy_recipe, (teacher, "picture.mean=[0, 0, 0]")).load_teacher()  # type: ignore[attr-defined]
    with pytest.raises(TrainingError, match=r"distill.teacher: .*run is for detect, the recipe for classify"):
        open_task(digits_recipe, (teacher,)).load_teacher()  # type: ignore[attr-defined]
    with pytest.raises(TrainingError, match=r"distill.teacher: .* is not a run folder"):
        open_task(toy_recipe, (f"distill.teacher={tmp_path}",)).load_teacher()  # type: ignore[attr-defined]


def test_a_classifier_learns_soft_labels(digits_recipe: Path) -> None:
    task = ClassifyTask(load_recipe(digits_recipe, ("distill.weight=0.5", "distill.temperature=3")))
    network = task.build_network()
    examples = task.examples(augmented=False)
    batch = task.collate([examples[request] for request in task.plan_epoch(0)[0]])
    with torch.no_grad():
        told = task.lesson(network.eval(), batch)
        equal, other = (task.taught_losses(network, batch, NOW, one) for one in (told, -told))
    assert equal["soft_labels"].item() == pytest.approx(0, abs=1e-6)
    assert (
        equal["cross_entropy"] == other["cross_entropy"] == task.losses(network, batch, NOW)["cross_entropy"]
    )
    expected = 0.5 * soft_label_distance(told, -told, 3.0).mean()
    torch.testing.assert_close(other["soft_labels"], expected)
