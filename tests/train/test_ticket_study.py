"""The study of tickets: networks side by side, controls, and a report that says what the numbers say."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tombola.errors import DataError, RecipeError, TrainingError
from tombola.train.loop.loop import Interrupted
from tombola.train.prune.weights.controls import magnitude_mask
from tombola.train.prune.weights.mask import Mask
from tombola.train.prune.weights.rewind import Start
from tombola.train.prune.weights.settings import PruneSettings
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.studies import parts
from tombola.train.studies.spread import Spread
from tombola.train.studies.tickets import run_study
from tombola.train.studies.tickets.cell import Cell
from tombola.train.studies.tickets.claims import answer_claims
from tombola.train.studies.tickets.findings import Findings
from tombola.train.studies.tickets.in_memory import InMemory, Split, in_memory
from tombola.train.studies.tickets.report import write_report
from tombola.train.studies.tickets.side_by_side import answers, train_side_by_side
from tombola.train.studies.tickets.study import LATE, LENET, Arm, Study
from tombola.train.studies.tickets.train_arm import open_study_task, train_arm
from tombola.train.studies.tickets.trial import Trained, Trial
from tombola.train.tasks.classify.batches import plan_epoch
from tombola.train.tasks.classify.task import ClassifyTask, load_split

SMALL = "network.widths=[16, 8]"
TINY = replace(
    LENET,
    networks={
        "16-8": (SMALL, "training.epochs=2", "training.batch_size=20", "training.early_steps=[3]"),
        "8-4": ("network.widths=[8, 4]", "training.epochs=1", "training.batch_size=20"),
    },
    pruning=replace(LENET.pruning, sparsity=0.75, rounds=2),
    arms=(
        Arm("16-8", "tickets", 2, (0, 1, 2)),
        Arm("16-8", "reinit", 2, (2,)),
        Arm("16-8", "foreign", 2, (2,)),
        Arm("16-8", "random", 2, (2,)),
        Arm("16-8", "untrained", 2, (2,)),
        Arm("16-8", "dense_twins", 2, (0, 3)),
        Arm("16-8", "ticket_twins", 2, (2,)),
        Arm("8-4", "tickets", 2, (0, 1, 2)),
    ),
)

TICKETS, REINIT = Arm("a", "tickets", 2, (0, 1)), Arm("a", "reinit", 2, (1,))


@pytest.fixture(scope="module")
def tiny(digits_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of digits under the names of MNIST."""
    folder = tmp_path_factory.mktemp("mnist")
    names = {
        "images.gz": "train-images-idx3-ubyte.gz",
        "labels.gz": "train-labels-idx1-ubyte.gz",
        "test-images.gz": "t10k-images-idx3-ubyte.gz",
        "test-labels.gz": "t10k-labels-idx1-ubyte.gz",
    }
    for source, name in names.items():
        shutil.copyfile(digits_data / source, folder / name)
    return TINY.with_changes([f"data.root={folder}"])


@pytest.fixture(scope="module")
def finished(tiny: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study, all of its cells trained."""
    folder = tmp_path_factory.mktemp("study")
    for arm in tiny.arms:
        train_arm(tiny, folder, arm)
    return folder


def test_side_by_side_is_what_each_does_alone(tiny: Study) -> None:
    """Held to the project's own perceptron and torch's Adam, step by step, each under its mask."""
    task = open_study_task(tiny, "16-8")
    pictures = in_memory(task)
    networks, starts, masks = [], [], []
    for seed in (0, 1):
        task.seed = seed
        networks.append(task.build_network())
        first = {name: tensor.clone() for name, tensor in networks[-1].state_dict().items()}
        starts.append(Start(first, 0, ""))
        torch.manual_seed(seed)
        name = "layers.0.0.weight"
        masks.append(Mask({name: torch.rand(first[name].shape) < 0.5}))
    found = train_side_by_side(pictures, task.settings, starts, masks, [0, 1], keep_steps=(3,))
    for seed, (network, mask) in enumerate(zip(networks, masks, strict=True)):
        weight, dead = network.get_parameter("layers.0.0.weight"), ~mask["layers.0.0.weight"]
        optimizer = torch.optim.Adam(network.parameters(), lr=1.2e-3)
        for batch in plan_epoch(len(pictures.train), batch_size=20, seed=seed, epoch=0)[:3]:
            weight.data[dead] = 0
            which = torch.tensor([request.index for request in batch])
            optimizer.zero_grad()
            F.cross_entropy(network(pictures.train.images[which]), pictures.train.labels[which]).backward()
            assert weight.grad is not None
            weight.grad[dead] = 0
            optimizer.step()
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(found[seed].early[3][name], tensor, rtol=1e-4, atol=1e-6)
        assert (found[seed].last["layers.0.0.weight"][dead] == 0).all()
    stacked = {name: torch.stack([one.last[name] for one in found]) for name in starts[0].weights}
    networks[1].load_state_dict(found[1].last)
    images = pictures.test.images
    torch.testing.assert_close(answers(stacked, images)[1], networks[1](images), rtol=1e-4, atol=1e-5)
    right = (networks[1](images).argmax(dim=1) == pictures.test.labels).float().mean()
    assert found[1].trial.last_test == pytest.approx(float(right))


def test_the_early_stop_is_where_the_validation_loss_is_least() -> None:
    """Labels that nothing predicts: the longer it learns them the worse, so it stops at the first look."""
    torch.manual_seed(0)
    splits = [Split(torch.randn(n, 6), torch.randint(0, 3, (n,))) for n in (400, 300, 300)]
    weights = {"head.weight": torch.zeros(3, 6), "head.bias": torch.zeros(3)}
    settings = TrainingSettings(epochs=60, batch_size=40, optimizer="adam", learning_rate=0.1, weight_decay=0)
    (one,) = train_side_by_side(InMemory(*splits), settings, [Start(weights, 0, "")], [None], [0])
    assert one.trial.steps == [100, 200, 300, 400, 500, 600]
    assert one.trial.stop_step == one.trial.steps[one.trial.valid_losses.index(min(one.trial.valid_losses))]


def test_a_control_is_as_sparse_as_the_ticket_and_begins_elsewhere(finished: Path) -> None:
    tickets = TINY.arms[0]
    for arm in TINY.arms[1:5]:
        for seed in (0, 1):
            mask, ticket = Cell(finished, arm, 2).mask(seed), Cell(finished, tickets, 2).mask(seed)
            other = Cell(finished, tickets, 2).mask(1 - seed)
            assert {n: int(t.sum()) for n, t in mask.items()} == {n: int(t.sum()) for n, t in ticket.items()}
            assert (mask.overlap(ticket) == 1.0) == (arm.kind == "reinit")
            assert (mask.overlap(other) == 1.0) == (arm.kind == "foreign")
    first, second = (Cell(finished, tickets, number).mask(0) for number in (1, 2))
    assert all(not (second[name] & ~first[name]).any() for name in first)
    # Half of each layer a round, a quarter of the last.
    assert second["layers.0.0.weight"].float().mean() == pytest.approx(0.25, abs=1e-3)
    assert second["head.weight"].float().mean() == pytest.approx(0.75**2, abs=0.02)


def test_twins_have_a_line_between_them_that_ends_in_both(finished: Path) -> None:
    for arm, first in ((TINY.arms[5], 0), (TINY.arms[6], 2)):
        cell = Cell(finished, arm, arm.numbers[0])
        for one, begun in zip(cell.results(), Cell(finished, TINY.arms[0], first).results(), strict=True):
            assert len(one.line_errors) == 11
            assert one.line_errors[0] == pytest.approx(1 - begun.trial.last_test, abs=1e-6)
            assert one.line_errors[-1] == pytest.approx(1 - one.trial.last_test, abs=1e-6)


def test_what_is_lost_is_trained_again_to_the_same_bits(finished: Path, tiny: Study, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    cell = Cell(folder, TINY.arms[0], 2)
    before = (cell.path / "trials.json").read_bytes()
    shutil.rmtree(cell.path)
    train_arm(tiny, folder, tiny.arms[0])
    assert (cell.path / "trials.json").read_bytes() == before
    (cell.path / "trials.json").write_text("[{}]")
    with pytest.raises(TrainingError, match="is damaged"):
        cell.results()


def test_the_report(finished: Path, tmp_path: Path) -> None:
    told = write_report(TINY, finished)
    assert len(told) == 9
    text = (finished / "report.md").read_text()
    assert "are done; the same command goes on" not in text
    for line in told:
        assert line.partition(": ")[0] in text
    assert len((finished / "study.csv").read_text().splitlines()) == 1 + sum(
        len(a.numbers) for a in TINY.arms
    )
    for name in ("accuracy", "stop", "overlap", "barrier", "widths"):
        assert (finished / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"({name}.png)" in text
    shutil.copytree(finished / "cells" / "16-8" / "tickets", tmp_path / "cells" / "16-8" / "tickets")
    assert len(write_report(TINY, tmp_path)) == 3
    assert "3 of 13 cells are done; the same command goes on" in (tmp_path / "report.md").read_text()


def trial(test: float, stop: int, reached: int | None) -> Trial:
    """One with looks at steps 100, 200, 300 whose validation accuracy is 0.9 from `reached` on."""
    accuracies = [0.9 if reached is not None and step >= reached else 0.5 for step in (100, 200, 300)]
    return Trial([100, 200, 300], [0.0, 0.0, 0.0], accuracies, stop, test, test)


@pytest.mark.parametrize(
    ("ticket", "reinit", "verdicts"),
    [
        ((0.91, 100, 100), (0.80, 300, None), ["holds", "holds", "holds"]),
        ((0.85, 300, None), (0.89, 200, 200), ["does not hold", "does not hold", "does not hold"]),
        ((0.91, 300, 100), (0.80, 300, None), ["holds", "undecided", "holds"]),
    ],
)
def test_claims_follow_the_numbers(
    tmp_path: Path,
    ticket: tuple[float, int, int | None],
    reinit: tuple[float, int, int | None],
    verdicts: list[str],
) -> None:
    mask = Mask({"head.weight": torch.tensor([True, False, True, False])})
    study = Study("mnist-lenet", {"a": ()}, PruneSettings(), (TICKETS, REINIT))
    cells = ((TICKETS, 0, None, (0.9, 200, 200)), (TICKETS, 1, mask, ticket), (REINIT, 1, mask, reinit))
    for arm, number, kept, given in cells:
        trained = [Trained(trial(*given), {}, {})] * 2
        Cell(tmp_path, arm, number).keep(trained, [kept, kept], 4, [[], []])
    claims = answer_claims(Findings(study, tmp_path))
    assert [claim.verdict for claim in claims[:3]] == verdicts
    # Both seeds have one mask.
    assert claims[3].verdict == "does not hold"


def test_spread() -> None:
    assert Spread.of([1.0, 2.0, 3.0]) == Spread(2.0, 1.0)
    assert Spread.of([1.0, 2.0, 3.0]).told(1, sign=True) == "+2.0 ± 1.0"
    assert Spread.of([4.0]).told(0) == "4"
    assert math.isnan(Spread.of([]).mean)
    assert Spread.of([]).told(2) == "–"


def test_the_largest_of_the_first_weights() -> None:
    weights = {"a": torch.tensor([0.1, -0.4, 0.3, 0.2]), "b": torch.tensor([1.0, 2.0]), "bias": torch.ones(3)}
    like = Mask({"a": torch.tensor([True, False, True, False]), "b": torch.tensor([True, True])})
    mask = magnitude_mask(weights, like)
    assert {name: tensor.tolist() for name, tensor in mask.items()} == {
        "a": [False, True, True, False],
        "b": [True, True],
    }


def test_what_cannot_be_studied(tiny: Study, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="take 2 or more"):
        LENET.with_seeds(1)
    assert {arm.seeds for arm in LENET.with_seeds(2).arms} == {2}
    with pytest.raises(DataError):
        run_study.run_study(TINY.with_changes(["data.root=nothing"]), tmp_path / "a")
    with pytest.raises(RecipeError, match=r"go back to step 7.*early_steps = \[3\] does not keep"):
        open_study_task(replace(tiny, late_step=7), "16-8")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "prune.json").write_text("{}")
    with pytest.raises(TrainingError, match="other settings"):
        run_study.run_study(tiny, tmp_path / "b")


@pytest.mark.slow
def test_processes_stopped_and_gone_on(
    finished: Path, tiny: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, lines = replace(tiny, arms=tiny.arms[:2]), list[str]()

    class Stopped:
        def __enter__(self) -> list[bool]:
            return [True]

        def __exit__(self, *_: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(parts, "stop_signals", Stopped)
        with pytest.raises(Interrupted, match="stopped with 4 pieces to go"):
            run_study.run_study(study, tmp_path / "s")
    claims = run_study.run_study(study, tmp_path / "s", jobs=2, told=lines.append)
    assert len(claims) == 4
    assert lines[-1].startswith("4/4")
    for arm in study.arms:
        mine, theirs = (Cell(folder, arm, 2).path / "trials.json" for folder in (tmp_path / "s", finished))
        assert mine.read_bytes() == theirs.read_bytes()


@pytest.fixture(scope="module")
def late(tiny: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    """A small study of late rewinding, all of its cells trained: a convolutional network, one by one."""
    changes = (
        'network={kind="cnn", blocks=[[4], [8]], end="mean", dense=[]}',
        *("training.epochs=2", "training.batch_size=50", "training.early_steps=[4]", "training.workers=0"),
        tiny.networks["8-4"][-1],
    )
    study = replace(
        LATE,
        recipe="mnist-lenet",
        networks={"cnn": changes},
        pruning=replace(LATE.pruning, sparsity=0.75, rounds=2),
        arms=(
            Arm("cnn", "tickets", 2, (0, 1, 2)),
            Arm("cnn", "late", 2, (1, 2)),
            Arm("cnn", "dense_twins", 2, (0, 4)),
            Arm("cnn", "late_twins", 2, (2,)),
        ),
        late_step=4,
    )
    folder = tmp_path_factory.mktemp("late")
    for arm in study.arms:
        train_arm(study, folder, arm)
    return study, folder


@pytest.mark.slow
def test_late_tickets_begin_from_an_early_step(late: tuple[Study, Path]) -> None:
    study, folder = late
    tickets, early, _, twins = study.arms
    dense, ticket = Cell(folder, tickets, 0), Cell(folder, early, 2)
    for seed in (0, 1):
        mask, begun = ticket.mask(seed), ticket.run(seed).read_weights("initial")
        kept = dense.run(seed).read_weights("early-4")
        assert mask.sparsity == pytest.approx(0.75, abs=0.01)
        assert all(torch.equal(begun[name], tensor) for name, tensor in mask.applied(kept).items())
        assert not (mask["head.weight"] & ~Cell(folder, early, 1).mask(seed)["head.weight"]).any()
    result, twin = ticket.results()[0], Cell(folder, twins, 2).results()[0]
    steps = len(load_split(dense_task(study).recipe, "train")) // 50 * 2
    assert result.trial.steps[-1] == twin.trial.steps[-1] == steps
    assert twin.line_errors[0] == pytest.approx(1 - result.trial.last_test, abs=1e-6)
    assert twin.line_errors[-1] == pytest.approx(1 - twin.trial.last_test, abs=1e-6)
    assert not torch.equal(
        *(run.read_weights("last")["head.weight"] for run in (ticket.run(0), Cell(folder, twins, 2).run(0)))
    )


def dense_task(study: Study) -> ClassifyTask:
    return open_study_task(study, study.main)


@pytest.mark.slow
def test_the_report_of_late_tickets(late: tuple[Study, Path]) -> None:
    told = write_report(*late)
    said = [line.partition(": ")[0] for line in told]
    assert "Rewound to step 4 instead, those of 25.0 % of the weights" in said[2]
    assert said[-2:] == ["Trained twice in other orders, it ends in one basin", "From step 4 on it does"]
    assert "| cnn | late ticket, another order | 2 |" in (late[1] / "report.md").read_text()
