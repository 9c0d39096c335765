import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tombola.errors import RecipeError, TrainingError
from tombola.train.loop import loop
from tombola.train.prune.weights.mask import Mask
from tombola.train.prune.weights.rounds import find_tickets
from tombola.train.prune.weights.settings import PruneSettings, Rewind
from tombola.train.run.folder import RunFolder
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

TWO_ROUNDS = PruneSettings(sparsity=0.75, rounds=2, rewind="thetak")


@pytest.fixture(scope="module")
def trained(make_digits_recipe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    return train_recipe(make_digits_recipe(folder), folder / "dense", device="cpu", quiet=True).path


@pytest.fixture
def dense(trained: Path, tmp_path: Path) -> Path:
    """A finished run of the test's own."""
    return Path(shutil.copytree(trained, tmp_path / "dense"))


def test_two_rounds(dense: Path) -> None:
    found = find_tickets(dense, settings=TWO_ROUNDS, quiet=True)
    assert found.folder == dense.with_name("dense-tickets")
    first, second = found.rounds
    assert first.living / first.total == pytest.approx(0.5, abs=1e-3)
    assert second.living / second.total == pytest.approx(0.25, abs=1e-3)
    masks = [Mask.read(found.folder / f"round-{n}" / "mask.safetensors") for n in (1, 2)]
    assert all(not (masks[1][name] & ~masks[0][name]).any() for name in masks[0])
    for number, mask in zip((1, 2), masks, strict=True):
        for weights in ("last", "best", "initial"):
            tensors = load_file(found.folder / f"round-{number}" / f"{weights}.safetensors")
            assert all((tensors[name][~mask[name]] == 0).all() for name in mask)
    assert (found.folder / "tickets.png").read_bytes().startswith(b"\x89PNG")
    lines = (found.folder / "tickets.csv").read_text().splitlines()
    assert lines[0].startswith("round,weights_left,living,accuracy_before,accuracy_after,steps_to_dense")
    assert len(lines) == 4
    lineage = RunFolder(found.folder / "round-2").read_lineage()["ticket"]
    assert lineage["rewound_to"] == "step 1"
    assert lineage["sparsity"] == pytest.approx(0.75, abs=1e-3)


def test_a_round_begins_where_it_is_rewound_to(dense: Path, tmp_path: Path) -> None:
    run = RunFolder(dense)
    starts = {"theta0": "initial", "thetak": "early-1", "lrr": "last"}
    for rewind, name in starts.items():
        settings = PruneSettings(sparsity=0.5, rounds=1, rewind=rewind)  # type: ignore[arg-type]
        found = find_tickets(dense, tmp_path / rewind, settings, quiet=True)
        mask = Mask.read(found.folder / "round-1" / "mask.safetensors")
        wanted = mask.applied(run.read_weights(name))
        got = load_file(found.folder / "round-1" / "initial.safetensors")
        assert all(torch.equal(got[key], wanted[key]) for key in wanted), rewind


def test_from_scratch_begins_elsewhere(dense: Path, tmp_path: Path) -> None:
    settings = PruneSettings(sparsity=0.5, rounds=1, rewind="scratch")
    found = find_tickets(dense, tmp_path / "s", settings, quiet=True)
    mask = Mask.read(found.folder / "round-1" / "mask.safetensors")
    first = mask.applied(RunFolder(dense).read_weights("initial"))
    got = load_file(found.folder / "round-1" / "initial.safetensors")
    name = next(iter(mask))
    assert not torch.equal(got[name], first[name])


def test_a_mask_that_leaves_all_trains_like_the_dense_run(dense: Path) -> None:
    """Rewound to the first weights with (nearly) nothing pruned, a round is the dense training again."""
    settings = PruneSettings(sparsity=1e-9, rounds=1, rewind="theta0")
    found = find_tickets(dense, settings=settings, quiet=True)
    got, wanted = (load_file(path / "last.safetensors") for path in (found.folder / "round-1", dense))
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)


def test_late_rewinding_goes_on_in_the_middle(dense: Path) -> None:
    """With nothing pruned, from step k on it is the dense training; the raw weights meet, bit for bit."""
    settings = PruneSettings(sparsity=1e-9, rounds=1, rewind="thetak")
    found = find_tickets(dense, settings=settings, quiet=True)
    rows = RunFolder(found.folder / "round-1").read_metrics()
    dense_rows = RunFolder(dense).read_metrics()
    assert [row["step"] for row in rows] == [row["step"] for row in dense_rows]
    # The optimiser's memory starts anew, so the losses are near, not equal.
    assert rows[0]["loss"] == pytest.approx(dense_rows[0]["loss"], rel=0.15)


def test_a_killed_search_goes_on_to_the_same_bits(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = find_tickets(dense, tmp_path / "whole", TWO_ROUNDS, quiet=True)
    step = loop._Training._train_step
    seen = {"steps": 0}

    def failing(training: loop._Training, batch: object) -> None:
        seen["steps"] += 1
        if seen["steps"] in (20, 60, 95):
            training._save_checkpoint()
            raise KeyboardInterrupt
        step(training, batch)

    monkeypatch.setattr(loop._Training, "_train_step", failing)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            find_tickets(dense, tmp_path / "cut", TWO_ROUNDS, quiet=True)
    cut = find_tickets(dense, tmp_path / "cut", TWO_ROUNDS, quiet=True)
    assert cut.rounds == whole.rounds
    for name in ("last", "best", "mask"):
        files = [f.folder / "round-2" / f"{name}.safetensors" for f in (whole, cut)]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("rewind", ["thetak", "finetune"])
def test_a_round_is_a_run_that_train_goes_on_with(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rewind: Rewind
) -> None:
    """It remembers its first step, its mask and its rate."""
    settings = PruneSettings(sparsity=0.5, rounds=1, rewind=rewind)
    whole = find_tickets(dense, tmp_path / "whole", settings, quiet=True)
    step = loop._Training._train_step

    def failing(training: loop._Training, batch: object) -> None:
        if training.step == 10:
            training._save_checkpoint()
            raise KeyboardInterrupt
        step(training, batch)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "_train_step", failing)
        with pytest.raises(KeyboardInterrupt):
            find_tickets(dense, tmp_path / "cut", settings, quiet=True)
    run = tmp_path / "cut" / "round-1"
    train_recipe(run / "recipe.toml", run, resume=True, device="cpu", quiet=True)
    for name in ("last.safetensors", "metrics.csv"):
        assert (run / name).read_bytes() == (whole.folder / "round-1" / name).read_bytes()


def test_a_ticket_is_pruned_from_its_mask(dense: Path, tmp_path: Path) -> None:
    half = PruneSettings(sparsity=0.5, rounds=1, rewind="lrr")
    first = find_tickets(dense, tmp_path / "a", half, quiet=True)
    again = find_tickets(first.folder / "round-1", tmp_path / "b", half, quiet=True)
    assert again.rounds[0].living / again.rounds[0].total == pytest.approx(0.25, abs=1e-3)


def test_what_cannot_be_rewound_to(dense: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no weights of step 7 to rewind to \(kept: 1\)"):
        find_tickets(dense, tmp_path / "a", PruneSettings(rounds=1, step=7), quiet=True)
    (dense / "early-1.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"kept: none\).*choose rewind theta0, lrr or finetune"):
        find_tickets(dense, tmp_path / "b", PruneSettings(rounds=1), quiet=True)
    (dense / "initial.safetensors").unlink()
    with pytest.raises(TrainingError, match="choose rewind lrr or finetune"):
        find_tickets(dense, tmp_path / "c", PruneSettings(rounds=1, rewind="theta0"), quiet=True)


def test_a_run_that_is_not_finished(dense: Path) -> None:
    run = RunFolder(dense)
    run.write_metrics(run.read_metrics()[:1])
    with pytest.raises(TrainingError, match="has trained 1 of 3 epochs"):
        find_tickets(dense, settings=TWO_ROUNDS, quiet=True)


def test_other_settings_in_the_same_folder(dense: Path, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "prune.json").write_text(json.dumps({"run": "elsewhere"}))
    with pytest.raises(TrainingError, match="was begun with another run or other settings"):
        find_tickets(dense, tmp_path / "t", TWO_ROUNDS, quiet=True)


def test_settings_that_cannot_be() -> None:
    with pytest.raises(RecipeError, match=r"a sparsity of 1\.0 in 5 rounds"):
        PruneSettings(sparsity=1.0)
    with pytest.raises(RecipeError, match="step = 5 has a meaning for rewind thetak alone"):
        PruneSettings(rewind="theta0", step=5)
