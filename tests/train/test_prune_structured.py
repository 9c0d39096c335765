"""Runs whose channels are cut: they are runs like any other, only narrower."""

import re
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import tombola
from tombola.errors import TrainingError
from tombola.export.cost import cost_of_run
from tombola.export.run import export_run, without_dead
from tombola.runtime.modelfile.graph import read_graph
from tombola.runtime.verify import verify
from tombola.train.loop import loop
from tombola.train.metrics.score import Score
from tombola.train.networks.axis import widths
from tombola.train.prune.channel_scores import ScoreName
from tombola.train.prune.reestimate import reestimate, reestimate_run
from tombola.train.prune.retrain import check_finished
from tombola.train.prune.shrink import in_blocks
from tombola.train.prune.structured import CutSettings, Facts, cut_channels
from tombola.train.prune.weights.mask import Mask
from tombola.train.prune.weights.rounds import find_tickets
from tombola.train.prune.weights.settings import PruneSettings
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.table import load_network, open_task
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

SCORES: tuple[ScoreName, ...] = ("least_squares", "random")


@pytest.fixture(scope="module")
def trained(make_digits_recipe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    return train_recipe(make_digits_recipe(folder), folder / "dense", device="cpu", quiet=True).path


@pytest.fixture
def dense(trained: Path, tmp_path: Path) -> Path:
    """A finished run of the test's own: 8 and 16 channels, 32 hidden units."""
    return Path(shutil.copytree(trained, tmp_path / "dense"))


def test_a_cut_run_is_a_run(dense: Path, tmp_path: Path) -> None:
    cut = cut_channels(dense, settings=CutSettings(block=4), quiet=True)
    assert cut.folder == dense.with_name("dense-l1")
    assert cut.channels == {"blocks.0.0": (8, 4), "blocks.1.0": (16, 8), "dense.0": (32, 16)}
    run = RunFolder(cut.folder)
    assert run.read_widths() == {"blocks.0.0": 4, "blocks.1.0": 8, "dense.0": 16}
    network, _ = load_network(cut.folder)
    assert widths(network) == run.read_widths()
    assert sum(weight.numel() for weight in network.parameters()) == cut.parameters[1]
    with torch.inference_mode():
        assert open_task(run.recipe_path).evaluate(network)["accuracy"] > 0.3  # of ten digits

    lineage = run.read_lineage()["ticket"]
    assert lineage["parent"] == "dense"
    assert lineage["channels"]["blocks.1.0"] == [16, 8]
    for name, path in (("narrow", cut.folder), ("whole", dense)):
        export_run(path, tmp_path / f"{name}.onnx")
    assert (tmp_path / "narrow.onnx").stat().st_size < (tmp_path / "whole.onnx").stat().st_size
    card = tombola.load(tmp_path / "narrow.onnx").contract.card
    assert card["lineage"]["ticket"]["channels"]["dense.0"] == [32, 16]


def test_the_best_written_channels_stay_with_their_weights(dense: Path, tmp_path: Path) -> None:
    settings = CutSettings(block=4, leave_out=("blocks.1.0", "dense.0"), rewind="theta0")
    cut = cut_channels(dense, tmp_path / "cut", settings, quiet=True)
    whole, narrow = load_file(dense / "last.safetensors"), load_file(cut.folder / "initial.safetensors")
    size = whole["blocks.0.0.conv.weight"].abs().sum((1, 2, 3))
    best = sorted(size.argsort(descending=True)[:4].tolist())
    first = load_file(dense / "initial.safetensors")
    assert torch.equal(narrow["blocks.0.0.conv.weight"], first["blocks.0.0.conv.weight"][best])
    assert torch.equal(narrow["blocks.1.0.conv.weight"], first["blocks.1.0.conv.weight"][:, best])


def test_killed_it_goes_on_to_the_same_bits(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CutSettings(score="taylor", block=4)
    whole = cut_channels(dense, tmp_path / "whole", settings, quiet=True)
    step = loop._Training._train_step

    def failing(training: loop._Training, batch: object) -> None:
        if training.step == 30:
            training._save_checkpoint()
            raise KeyboardInterrupt
        step(training, batch)

    monkeypatch.setattr(loop._Training, "_train_step", failing)
    with pytest.raises(KeyboardInterrupt):
        cut_channels(dense, tmp_path / "cut", settings, quiet=True)
    monkeypatch.undo()
    cut = cut_channels(dense, tmp_path / "cut", settings, quiet=True)
    files = [one.folder / "last.safetensors" for one in (whole, cut)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert cut.score_after == whole.score_after
    with pytest.raises(TrainingError, match="was begun with another run or other settings"):
        cut_channels(dense, tmp_path / "cut", CutSettings(), quiet=True)


def test_a_ticket_is_coarsened_and_its_channels_refilled(dense: Path, tmp_path: Path) -> None:
    half = PruneSettings(sparsity=0.7, rounds=1, rewind="lrr")
    ticket = find_tickets(dense, tmp_path / "t", half, quiet=True).folder / "round-1"
    coarse = cut_channels(ticket, tmp_path / "c", CutSettings(score="ticket", block=4), quiet=True)
    assert not (coarse.folder / "mask.safetensors").exists()
    assert (load_file(coarse.folder / "last.safetensors")["head.weight"] == 0).float().mean() < 0.1
    assert RunFolder(coarse.folder).read_lineage()["ticket"]["of"]["sparsity_by_round"] == [
        pytest.approx(0.7, abs=1e-3)
    ]
    other = cut_channels(ticket, tmp_path / "l", CutSettings(block=4), quiet=True)
    mask, last = Mask.read(other.folder / "mask.safetensors"), load_file(other.folder / "last.safetensors")
    assert all((last[name][~mask[name]] == 0).all() for name in mask)
    assert mask.sparsity > 0.3

    again = cut_channels(coarse.folder, tmp_path / "a", CutSettings(block=4), quiet=True)
    assert again.channels["dense.0"] == (16, 8)


def test_cut_to_a_budget(dense: Path, tmp_path: Path) -> None:
    settings = CutSettings(score="least_squares", block=4, target=40)
    cut = cut_channels(
        dense, tmp_path / "cut", settings, cost=lambda: cost_of_run(dense, "macs").in_percent(), quiet=True
    )
    assert cut.cost is not None
    full, left, unit = cut.cost
    assert re.fullmatch(r"% of [\d.]+ M MACs", unit)
    assert full == pytest.approx(100)
    assert 25 < left <= 40  # the last block of 4 of 16 channels took a fifth at most
    assert RunFolder(cut.folder).read_lineage()["ticket"]["cost"] == list(cut.cost)
    assert Facts.read(cut.folder) == Facts(**{one.name: getattr(cut, one.name) for one in fields(Facts)})


def test_what_a_mask_has_killed_is_not_exported(dense: Path) -> None:
    network, recipe = load_network(dense)
    with torch.no_grad():
        network.get_parameter("head.weight")[:, 3:23] = 0  # of 32 units
        named = dict(network.named_parameters())
        flat = next(one for name, one in named.items() if name.startswith("dense.0.") and one.ndim == 2)
        flat[:, : 6 * flat.shape[1] // 16] = 0  # six of the 16 channels that it reads
    narrow = without_dead(network, recipe)
    # 12 and 10 are alive; the last block of each axis is filled up.
    assert widths(narrow) == {"blocks.0.0": 8, "blocks.1.0": 16, "dense.0": 16}
    pictures = torch.randn(3, len(recipe.picture.mean), *recipe.picture.size)
    with torch.inference_mode():
        torch.testing.assert_close(narrow(pictures), network(pictures), atol=1e-5, rtol=1e-5)
    assert in_blocks([1, 5], 16, 4) == [0, 1, 2, 5]
    assert in_blocks([0, 2], 3, 4) == [0, 1, 2]


def test_from_scratch_it_begins_elsewhere(dense: Path, tmp_path: Path) -> None:
    cut = cut_channels(dense, tmp_path / "s", CutSettings(rewind="scratch", block=4), quiet=True)
    lineage = RunFolder(cut.folder).read_lineage()["ticket"]
    assert lineage["rewound_to"] == "new weights of seed 6"
    narrow, first = (load_file(path / "initial.safetensors") for path in (cut.folder, dense))
    assert not torch.isin(narrow["head.weight"], first["head.weight"]).any()


def test_what_is_not_a_finished_run(dense: Path) -> None:
    run = RunFolder(dense)
    run.write_metrics(run.read_metrics()[:1])
    with pytest.raises(TrainingError, match="has trained 1 of 3 epochs"):
        cut_channels(dense, quiet=True)


def test_a_run_that_stopped_early_is_finished(dense: Path) -> None:
    run, score = RunFolder(dense), Score("accuracy", "share", higher_is_better=True)
    run.write_metrics(
        [{"epoch": n, "step": n, "valid_accuracy": a} for n, a in ((1, 0.8), (2, 0.7), (3, 0.6))]
    )
    check_finished(run, TrainingSettings(epochs=9, early_stopping_epochs=2), score)
    for patience in (0, 3):
        with pytest.raises(TrainingError, match="has trained 3 of 9 epochs"):
            check_finished(run, TrainingSettings(epochs=9, early_stopping_epochs=patience), score)


def test_statistics_are_those_of_the_training_pictures(dense: Path) -> None:
    task = open_task(RunFolder(dense).recipe_path)
    network = task.build_network(start=False)
    RunFolder(dense).load(network, "best")
    seen = []
    network.get_submodule("blocks.0.0").register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    assert reestimate(network, task) == 3
    assert not any(module.training for module in network.modules())
    conv, norm = network.get_submodule("blocks.0.0.conv"), network.get_submodule("blocks.0.0.norm")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        maps = [conv(x).transpose(0, 1).flatten(1) for x in seen]
    assert len(torch.cat(seen)) == 500  # all, for there are fewer than are asked for
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(1) for x in maps]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([x.var(1) for x in maps]).mean(0))


def test_weights_with_new_statistics_lie_beside_the_old(dense: Path) -> None:
    before = (dense / "best.safetensors").read_bytes()
    found = reestimate_run(dense)
    assert (dense / "best.safetensors").read_bytes() == before
    old, new = load_file(dense / "best.safetensors"), load_file(found.path)
    assert torch.equal(old["head.weight"], new["head.weight"])
    assert not torch.equal(old["blocks.0.0.norm.running_mean"], new["blocks.0.0.norm.running_mean"])
    assert found.after is not None
    assert found.told().startswith(f"{dense / 'reestimated.safetensors'}: accuracy ")
    load_network(dense, "reestimated")


def test_a_network_without_norms_has_no_statistics(digits_recipe: Path, tmp_path: Path) -> None:
    run = train_recipe(
        digits_recipe,
        tmp_path / "plain",
        overrides=["network.batch_norm=false", "training.epochs=1"],
        device="cpu",
        quiet=True,
    )
    with pytest.raises(TrainingError, match="has no batch norm"):
        reestimate_run(run.path)


def test_fitted_anew_it_is_better_as_cut(dense: Path, tmp_path: Path) -> None:
    cuts = [
        cut_channels(dense, tmp_path / score, CutSettings(score=score, block=4, keep=0.75), quiet=True)
        for score in SCORES
    ]
    assert cuts[0].channels == cuts[1].channels
    assert cuts[0].score_before > cuts[1].score_before


def test_norms_that_a_recipe_keeps_fixed_stay(toy_recipe: Path) -> None:
    task = open_task(toy_recipe)
    network = task.build_network(start=False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert reestimate(network, task) == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.slow
def test_a_detector_is_cut_everywhere_and_exported(
    make_toy_recipe: Callable[[Path], Path], tmp_path: Path
) -> None:
    frozen = ("start.freeze=backbone.stages.1",)
    recipe = make_toy_recipe(tmp_path)
    dense = train_recipe(recipe, tmp_path / "dense", overrides=frozen, device="cpu", quiet=True)
    settings = CutSettings(score="least_squares", block=4, changes=("training.epochs=1",))
    cut = cut_channels(dense.path, settings=settings, quiet=True)
    pairs = cut.channels
    assert all(after < before for before, after in pairs.values() if before > 4)
    for name in ("stem", "stages.2.1.hidden", "neck", "neck.merged", "proposals", "roi_head.0", "roi_head.1"):
        assert pairs[name][1] < pairs[name][0], name
    run = RunFolder(cut.folder)
    assert "loss_taught_maps" in run.read_metrics()[0]
    first, last = (run.read_weights(name)["backbone.stages.0.conv.weight"] for name in ("initial", "last"))
    assert not torch.equal(first, last)  # what was held learns again
    report = export_run(cut.folder, tmp_path / "narrow.onnx")
    assert verify(report.path, "cpu").ok


@pytest.mark.slow
def test_whole_blocks_go_and_the_file_has_fewer_layers(digits_recipe: Path, tmp_path: Path) -> None:
    changes = ['network={kind="resnet20", width=0.5}', "training.epochs=1"]
    dense = train_recipe(digits_recipe, tmp_path / "dense", overrides=changes, device="cpu", quiet=True)
    # What is left are three blocks of eight channels inside: each stays or goes.
    settings = CutSettings(score="least_squares", target=80, leave_out=("stem", "stages.[23]*"))
    cost = cost_of_run(dense.path, "macs").in_percent()
    cut = cut_channels(dense.path, tmp_path / "cut", settings, cost=lambda: cost, quiet=True)
    gone = {name for name, (_, after) in cut.channels.items() if after == 0}
    assert gone
    assert gone < {f"stages.1.{number}.hidden" for number in range(3)}
    convolutions = [
        read_graph(export_run(run, tmp_path / f"{run.name}.onnx").path.read_bytes()).op_counts["Conv"]
        for run in (dense.path, cut.folder)
    ]
    assert convolutions[1] == convolutions[0] - 2 * len(gone)
    assert verify(tmp_path / "cut.onnx", "cpu").ok
    again = cut_channels(cut.folder, tmp_path / "again", CutSettings(block=4), quiet=True)
    assert gone == {name for name, (before, after) in again.channels.items() if before == after == 0}
