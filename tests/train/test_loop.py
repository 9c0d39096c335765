"""The training loop on a task of three numbers, so that it is tested apart from detection."""

import csv
import math
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import Dataset

from tombola.errors import OutputError, TrainingError
from tombola.train.loop.learn.average import WeightAverage
from tombola.train.loop.loop import Interrupted, train
from tombola.train.metrics.score import Score
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.run.folder import RunFolder, write_atomic
from tombola.train.run.lock import lock_folder
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import Tell, silent


class Line(nn.Module):
    """y = w x + b, with dropout, whose random numbers must repeat after a resume."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))
        self.b = nn.Parameter(torch.zeros(1))
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(self.w * x) + self.b
        return out


class MatrixLine(Line):
    """With a weight of two dimensions, which the watch looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1, 1))


class Points(Dataset[float]):
    def __getitem__(self, request: float) -> float:
        return request


CLOSENESS = Score("closeness", "share", higher_is_better=True)


@dataclass
class LineTask:
    """Fit y = 2 x + 1. `broken_at` makes the loss NaN at that step; `scores` overrides what evaluate says."""

    settings: TrainingSettings
    name: str = "line"
    seed: int = 1
    score: Score = CLOSENESS
    broken_at: int = -1
    interrupt_at: int = -1
    interrupt_judging_at: int = -1
    scores: list[float] = field(default_factory=list)
    calls: int = 0
    moments: list[Moment] = field(default_factory=list)
    widths: Mapping[str, int] = field(default_factory=dict)

    def recipe_toml(self) -> str:
        return "task = 'line'\n"

    def lineage(self) -> dict[str, Any]:
        return {"parent": None}

    def build_network(self, *, start: bool = True) -> Line:
        assert start
        return Line()

    def prepare(self, network: nn.Module, moment: Moment) -> None:
        self.moments.append(moment)
        network.train()

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(network.parameters()), "rate": 1.0, "weight_decay": 0.0}]

    def plan_epoch(self, epoch: int) -> list[list[Any]]:
        generator = torch.Generator().manual_seed(self.seed * 100 + epoch)
        return torch.randn(5, 4, generator=generator).tolist()

    def check_shares(self) -> None:
        pass

    def examples(self, *, augmented: bool = True) -> Dataset[Any]:
        assert augmented
        return Points()

    def collate(self, examples: Sequence[Any]) -> Tensor:
        return torch.tensor(examples)

    def losses(self, network: nn.Module, batch: Tensor, moment: Moment) -> Mapping[str, Tensor]:
        assert moment is self.moments[-1]
        self.calls += 1
        if self.calls == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)
        error = network(batch) - (2 * batch + 1)
        loss = (error**2).mean()
        return {"square": loss * math.nan if self.calls == self.broken_at else loss}

    def expected_losses(self) -> Mapping[str, float]:
        return {}

    def evaluate(self, network: nn.Module, tell: Tell = silent) -> dict[str, float]:
        if len(self.moments) >= self.interrupt_judging_at > 0:
            signal.raise_signal(signal.SIGINT)
        tell(1, 1)
        assert isinstance(network, Line)
        if self.scores:
            return {"closeness": self.scores.pop(0)}
        return {"closeness": -float((network.w - 2).abs() + (network.b - 1).abs())}


@pytest.fixture(autouse=True)
def quick_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """No drawing and no waiting for the disk: that took nine tenths of the time here."""
    monkeypatch.setattr("tombola.train.loop.loop.draw_curves", lambda *_: b"drawn")
    monkeypatch.setattr("os.fsync", lambda _: None)


def settings(**changes: Any) -> TrainingSettings:
    defaults: dict[str, Any] = {"epochs": 4, "batch_size": 4, "learning_rate": 0.05, "warmup_steps": 2}
    return TrainingSettings(
        **(defaults | {"workers": 0, "checkpoint_minutes": 0, "early_steps": (3,)} | changes)
    )


def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def run_to_end(task: LineTask, path: Path, *, resume: bool = False) -> RunFolder:
    run = RunFolder(path)
    train(task, run, resume=resume, fabric=fabric(), quiet=True)
    return run


def test_a_run_leaves_everything_behind(tmp_path: Path) -> None:
    run = run_to_end(LineTask(settings(epochs=15, learning_rate=0.15, ema_decay=0)), tmp_path / "run")
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        "recipe.toml", "lineage.json", "metrics.csv", "curves.png", "checkpoint.safetensors",
        "initial.safetensors", "early-3.safetensors", "best.safetensors", "last.safetensors",
        "watch.csv", "watch.txt",
    }  # fmt: skip
    assert (run.path / "curves.png").read_bytes() == b"drawn"
    assert run.read_weights("initial")["w"].item() == 0.0
    # Dropout pulls w from 2 to 2 E[m] / E[m²] = 1.6, m being 1 / 0.8 or 0: a number that proves it was on.
    assert run.read_weights("last")["w"].item() == pytest.approx(1.6, abs=0.15)
    with (run.path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows[:2]] == ["1", "2"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert rows[0]["loss"] == rows[0]["loss_square"]


def test_a_folder_of_other_things_is_no_place_for_a_run(tmp_path: Path) -> None:
    # What a preflight, a search, a log, the desktop and a kill at the very start leave is in nobody's way.
    for name in ("range_test.png", "preflight.json", "log.txt", "mine.log", ".DS_Store", "lineage.json"):
        (tmp_path / name).touch()
    (tmp_path / "train").mkdir()
    (tmp_path / "recipe.toml").touch()
    (tmp_path / "lineage.json").unlink()
    for name in ("recipe.toml", "train"):
        with pytest.raises(TrainingError, match=f"is no run folder.* {name} the first"):
            run_to_end(LineTask(settings()), tmp_path)
        (tmp_path / name).unlink() if name == "recipe.toml" else (tmp_path / name).rmdir()
    (tmp_path / "lineage.json").touch()
    run_to_end(LineTask(settings()), tmp_path)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("step", [1, 4, 5, 6, 13])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, optimizer: str, step: int) -> None:
    wanted = settings(optimizer=optimizer)
    whole = run_to_end(LineTask(wanted), tmp_path / "whole")
    with pytest.raises(Interrupted, match=f"stopped after step {step}"):
        run_to_end(LineTask(wanted, interrupt_at=step), tmp_path / "parts")
    parts = run_to_end(LineTask(wanted), tmp_path / "parts", resume=True)
    for name in ("last", "best", "early-3"):
        for key, tensor in whole.read_weights(name).items():
            assert torch.equal(tensor, parts.read_weights(name)[key]), (name, key)
    assert (whole.path / "metrics.csv").read_bytes() == (parts.path / "metrics.csv").read_bytes()


@pytest.mark.parametrize(("steps", "epoch"), [(1, 1), (6, 2), (20, 4)])
def test_interrupted_while_an_epoch_is_judged(
    tmp_path: Path, steps: int, epoch: int, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = run_to_end(LineTask(settings()), tmp_path / "whole")
    with pytest.raises(Interrupted, match=f"epoch {epoch} was judged; continue with --resume"):
        run_to_end(LineTask(settings(), interrupt_judging_at=steps), tmp_path / "parts")
    assert capfd.readouterr().err.startswith("stopping after this step")
    assert len(RunFolder(tmp_path / "parts").read_metrics()) == epoch - 1
    parts = run_to_end(LineTask(settings()), tmp_path / "parts", resume=True)
    for name in ("last", "best"):
        assert torch.equal(whole.read_weights(name)["w"], parts.read_weights(name)["w"])
    assert (whole.path / "metrics.csv").read_bytes() == (parts.path / "metrics.csv").read_bytes()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    for resume in (False, True):
        with lock_folder(tmp_path), pytest.raises(TrainingError, match="in use by process"):
            run_to_end(LineTask(settings()), tmp_path, resume=resume)
        run_to_end(LineTask(settings()), tmp_path, resume=resume)


def test_more_epochs_go_on_and_say_what_that_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_to_end(LineTask(settings(epochs=2)), tmp_path)
    before = run.read_metrics()
    train(LineTask(settings(epochs=5)), run, resume=True, fabric=fabric())
    assert run.read_metrics()[:2] == before
    assert len(run.read_metrics()) == 5
    assert capsys.readouterr().err.startswith("5 epochs are planned now: ")


def test_other_pictures_than_before_are_refused(tmp_path: Path) -> None:
    run_to_end(LineTask(settings()), tmp_path)
    other = LineTask(settings())
    other.plan_epoch = lambda epoch: [[float(epoch)] * 4] * 5  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="pictures are not those"):
        run_to_end(other, tmp_path, resume=True)


def test_what_was_watched_is_kept_beside_the_checkpoint(tmp_path: Path) -> None:
    def task(interrupt_at: int = -1) -> LineTask:
        one = LineTask(settings(watch_every=1), interrupt_at=interrupt_at)
        one.build_network = lambda **_: MatrixLine()  # type: ignore[method-assign]
        return one

    whole = run_to_end(task(), tmp_path / "whole")
    with pytest.raises(Interrupted):
        run_to_end(task(interrupt_at=7), tmp_path / "parts")
    parts = RunFolder(tmp_path / "parts")
    rows, sentences = parts.read_watch()
    assert [row.step for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    # A checkpoint's notes may have 100 MB, which many looks at many layers would exceed.
    _, progress = parts.read_checkpoint()
    assert len(progress["watch"]["sentences"]) == len(sentences)
    assert "rows" not in progress["watch"]
    # As if it had been killed between the table and the checkpoint.
    parts.write_watch([*rows, replace(rows[-1], step=8)], sentences)
    run_to_end(task(), parts.path, resume=True)
    assert len(parts.read_watch()[0]) > 7
    for name in ("watch.csv", "watch.txt"):
        assert (parts.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    run = run_to_end(LineTask(settings()), tmp_path / "run")
    before = run.read_weights("last")["w"]
    run_to_end(LineTask(settings()), tmp_path / "run", resume=True)
    assert torch.equal(run.read_weights("last")["w"], before)


def test_a_dead_loader_that_is_told_of_at_the_end_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal may come while the folder is let go, after the error itself."""

    @contextmanager
    def lock_and_signal(_: Path) -> Iterator[None]:
        try:
            yield
        finally:
            raise RuntimeError("DataLoader worker (pid 5) is killed by signal: Killed. ")

    monkeypatch.setattr("tombola.train.loop.loop.lock_folder", lock_and_signal)
    with pytest.raises(TrainingError, match=r"was killed.*--resume"):
        run_to_end(LineTask(settings(), broken_at=8), tmp_path / "run")


def test_a_loss_that_turns_nan_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"not finite at step 8 .*square nan.*learning_rate"):
        run_to_end(LineTask(settings(), broken_at=8), tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    tensors, progress = run.read_checkpoint()
    assert progress["step"] == 5
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_best_weights_are_those_of_the_best_score(tmp_path: Path) -> None:
    run = run_to_end(LineTask(settings(epochs=3), scores=[0.5, 0.9, 0.7]), tmp_path / "run")
    assert not torch.equal(run.read_weights("best")["w"], run.read_weights("last")["w"])
    lower = Score("closeness", "nats", higher_is_better=False)
    other = run_to_end(LineTask(settings(epochs=3), score=lower, scores=[0.5, 0.2, 0.7]), tmp_path / "lower")
    assert torch.equal(run.read_weights("best")["w"], other.read_weights("best")["w"])


@pytest.mark.parametrize("scores", [[0.9, 0.9, 0.5], [0.5, 0.9, 0.9]])
def test_of_equal_scores_the_weights_with_the_smaller_loss_are_best(
    scores: list[float], tmp_path: Path
) -> None:
    run = run_to_end(LineTask(settings(epochs=3), scores=list(scores)), tmp_path / "run")
    losses = [row["loss"] for row in run.read_metrics()]
    assert losses[0] > losses[1] < losses[2]
    alone = run_to_end(LineTask(settings(epochs=3), scores=[0.5, 0.9, 0.5]), tmp_path / "alone")
    assert torch.equal(run.read_weights("best")["w"], alone.read_weights("best")["w"])


def test_early_stopping(tmp_path: Path) -> None:
    task = LineTask(settings(epochs=50, early_stopping_epochs=2), scores=[0.1, 0.5, 0.4, 0.3, 0.2])
    run = run_to_end(task, tmp_path / "run")
    assert len(run.read_metrics()) == 4


def test_early_stopping_counts_what_was_judged(tmp_path: Path) -> None:
    wanted = settings(epochs=9, evaluate_every=3, early_stopping_epochs=2)
    run = run_to_end(LineTask(wanted, scores=[0.1, 0.2, 0.3]), tmp_path / "run")
    assert len(run.read_metrics()) == 9


def test_a_score_that_is_no_number_does_not_lose_the_weights(tmp_path: Path) -> None:
    run = run_to_end(LineTask(settings(epochs=2), scores=[math.nan, math.nan]), tmp_path / "run")
    assert torch.equal(run.read_weights("best")["w"], run.read_weights("last")["w"])
    assert "valid_closeness" not in run.read_metrics()[0]


def test_killed_before_the_first_epoch_ends_and_resumed(tmp_path: Path) -> None:
    whole = run_to_end(LineTask(settings()), tmp_path / "whole")
    task = LineTask(settings())
    task.losses = lambda *_: sys.exit("killed")  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        run_to_end(task, tmp_path / "parts")
    parts = run_to_end(LineTask(settings()), tmp_path / "parts", resume=True)
    assert torch.equal(whole.read_weights("last")["w"], parts.read_weights("last")["w"])


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    run_to_end(LineTask(settings()), tmp_path / "run")
    with pytest.raises(TrainingError, match="--resume"):
        run_to_end(LineTask(settings()), tmp_path / "run")


def test_resume_without_or_with_a_damaged_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint"):
        run_to_end(LineTask(settings()), tmp_path / "none", resume=True)
    run = run_to_end(LineTask(settings()), tmp_path / "run")
    whole = (run.path / "checkpoint.safetensors").read_bytes()
    (run.path / "checkpoint.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match="damaged"):
        run_to_end(LineTask(settings()), tmp_path / "run", resume=True)


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.csv"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_too_few_pictures_for_one_batch(tmp_path: Path) -> None:
    task = LineTask(settings())
    task.plan_epoch = lambda epoch: []  # type: ignore[method-assign]  # noqa: ARG005
    with pytest.raises(TrainingError, match="more than there are training pictures"):
        run_to_end(task, tmp_path / "run")


def test_runs_outside_the_main_thread(tmp_path: Path) -> None:
    thread = threading.Thread(target=run_to_end, args=(LineTask(settings()), tmp_path / "run"))
    thread.start()
    thread.join()
    assert (tmp_path / "run" / "last.safetensors").exists()


def test_the_average_by_hand() -> None:
    network = Line()
    average = WeightAverage(network, decay=0.5)
    network.w.data.fill_(1.0)
    average.update(network, step=0)  # decay is 1/10 at first
    assert average.tensors["w"].item() == pytest.approx(0.9)
    average.update(network, step=1000)
    assert average.tensors["w"].item() == pytest.approx(0.95)
