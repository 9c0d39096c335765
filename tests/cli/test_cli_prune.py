"""`tombola prune` and `tombola train --reestimate`: what they hand to the library and print of the answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tombola.cli.training.prune import _told_cut
from tombola.cli.training.target import Target, read_target
from tombola.train.metrics.score import Score
from tombola.train.prune.reestimate import Reestimated
from tombola.train.prune.structured import Cut, CutSettings
from tombola.train.prune.weights.rounds import Round, Tickets
from tombola.train.prune.weights.settings import PruneSettings

Tombola = Callable[..., Result]
ACCURACY = Score("accuracy", "share", higher_is_better=True)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the library was given."""
    seen: dict[str, Any] = {}

    def find_tickets(run: Path, out: Path | None, settings: Any, **_: Any) -> Tickets:
        seen.update(run=run, out=out, settings=settings)
        rounds = [Round(1, 500, 1000, 0.5, 0.91, 40, {}), Round(2, 250, 1000, 0.4, 0.85, None, {})]
        return Tickets(Path("runs/x-tickets"), ACCURACY, 0.9, 60, rounds)

    def cut_channels(run: Path, out: Path | None, settings: Any, *, cost: Any, **_: Any) -> Cut:
        seen.update(run=run, out=out, settings=settings, cost=cost)
        channels = {"a": (32, 16), "b": (64, 32), "c": (8, 8)}
        return Cut(
            dense_score=0.9,
            score_before=0.6,
            channels=channels,
            parameters=(435_018, 110_506),
            step=0,
            rewound_to="the weights before pruning",
            cost=None if settings.target is None else (8.0, 5.5, "ms"),
            folder=Path("runs/x-l1"),
            score=ACCURACY,
            score_after=0.89,
        )

    monkeypatch.setattr("tombola.train.prune.weights.rounds.find_tickets", find_tickets)
    monkeypatch.setattr("tombola.train.prune.structured.cut_channels", cut_channels)
    return seen


def test_masks(tombola: Tombola, given: dict[str, Any]) -> None:
    result = tombola("prune", "runs/x", "--sparsity", "0.75", "--rounds", "2", "--leave-out", "stem")
    assert result.exit_code == 0
    assert given["settings"] == PruneSettings(sparsity=0.75, rounds=2, leave_out=("stem",))
    assert "50.0 % of the weights reach the dense score: runs/x-tickets/round-1" in result.stdout


def test_channels(tombola: Tombola, given: dict[str, Any]) -> None:
    result = tombola("prune", "runs/x", "--structured", "l1", "--keep", "0.5", "--rewind", "scratch")
    assert result.exit_code == 0
    assert given["settings"] == CutSettings(score="l1", keep=0.5, rewind="scratch")
    assert result.stdout.splitlines() == [
        "2 of 3 axes cut, 96 to 48 channels; 435,018 to 110,506 parameters",
        "accuracy 90.00 % dense, 60.00 % as cut, 89.00 % trained again",
        "Next: tombola export runs/x-l1",
    ]


def test_a_target_that_cannot_be_reached_says_how_far(tombola: Tombola, given: dict[str, Any]) -> None:
    result = tombola("prune", "runs/x", "--structured", "l1", "--target-latency", "5 ms", "--max-drop", "1")
    assert given["settings"] == CutSettings(score="l1", target=5.0, max_drop=1.0)
    assert given["cost"].args == (Path("runs/x"), Target("latency", 5.0, in_percent=False))
    assert "8 to 5.5 ms by its layers; the target of 5 is 0.5 away, and no more may go" in result.stdout
    assert "gone as a whole" not in result.stdout


def test_blocks_that_are_gone_are_named() -> None:
    cut = Cut(
        dense_score=0.9,
        score_before=0.6,
        channels={"stem": (32, 32), "stages.2.1.hidden": (96, 0), "stages.2.2.hidden": (0, 0)},
        parameters=(100, 50),
        step=0,
        rewound_to="",
        cost=(100.0, 50.0, "% of 3 M MACs"),
        folder=Path("runs/x"),
        score=ACCURACY,
        score_after=0.89,
    )
    assert _told_cut(cut, 50.0)[1:3] == [
        "gone as a whole are the blocks around stages.2.1.hidden",
        "100 to 50 % of 3 M MACs by its layers",
    ]


def test_targets_in_units_of_their_own() -> None:
    assert read_target(size=" 1.5 MiB", macs=None) == Target("size", 1.5 * 1.048576, in_percent=False)
    assert read_target(latency="70%") == Target("latency", 70.0, in_percent=True)
    assert read_target(latency=None) is None


def test_channels_replay_the_schedule_unless_told(tombola: Tombola, given: dict[str, Any]) -> None:
    assert tombola("prune", "runs/x", "--structured", "random").exit_code == 0
    assert given["settings"].rewind == "lrr"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--structured", "l1", "--sparsity", "0.5"], "--sparsity has no meaning with --structured"),
        (["--structured", "l1", "--half-rate", "a"], "--half-rate has no meaning with --structured"),
        (["--keep", "0.5"], "--keep has no meaning without --structured"),
        (["--structured", "l1", "--target-size", "1MB", "--target-macs", "5%"], "are two; give one"),
        (["--structured", "l1", "--target-macs", "5"], "is no amount above 0 in M or G or %, such as 25%"),
        (["--structured", "l1", "--target-latency", "0ms"], "is no amount above 0 in ms or s"),
        (["--structured", "l1", "--target-size", "1MiB", "--keep", "0.5"], "--keep tells what stays"),
        (["--jobs", "2"], "--jobs has no meaning without --study"),
        (["--structured", "l1", "--ray"], "--ray has no meaning without --study"),
        (["--study", "lenet", "--rewind", "lrr"], "--rewind has no meaning with --study"),
    ],
)
def test_options_of_the_other_way(tombola: Tombola, options: list[str], told: str) -> None:
    result = tombola("prune", "runs/x", *options)
    assert result.exit_code != 0
    assert told in result.output


def test_statistics_anew(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tombola.train.prune.reestimate.reestimate_run",
        lambda run: Reestimated(run / "reestimated.safetensors", ACCURACY, 0.5, 0.75),
    )
    result = tombola("train", "runs/x", "--reestimate")
    assert result.stdout == "runs/x/reestimated.safetensors: accuracy 75.00 %, it was 50.00 %\n"
    for other in (["--resume"], ["--device", "cpu"], ["--budget", "1"], ["--quiet"]):
        assert "takes a run and no other option" in tombola("train", "runs/x", "--reestimate", *other).output


def test_a_study_has_no_run(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def run_study(
        study: Any, folder: Path, *, jobs: int, ray: bool, told: Callable[[str], None]
    ) -> list[str]:
        seen.update(
            folder=folder, jobs=jobs, ray=ray, seeds={arm.seeds for arm in study.arms}, changes=study.networks
        )
        told("1/2  half way")
        return ["Tickets reach it: holds. 1 % against 2 %."]

    monkeypatch.setattr("tombola.train.studies.tickets.run_study.run_study", run_study)
    result = tombola(
        "prune", "--study", "lenet", "--set", "data.root=mnist", "--jobs", "2", "--seeds", "3", "--ray"
    )
    assert (result.exit_code, result.stderr) == (0, "1/2  half way\n")
    assert result.stdout.splitlines() == [
        "Tickets reach it: holds. 1 % against 2 %.",
        "",
        "runs/study-lenet: report.md, study.csv, pictures",
    ]
    assert {changes[-1] for changes in seen.pop("changes").values()} == {"data.root=mnist"}
    assert seen == {"folder": Path("runs/study-lenet"), "jobs": 2, "ray": True, "seeds": {3}}
    assert "give a RUN to prune" in tombola("prune").output
    assert "give a RUN to prune" in tombola("prune", "runs/x", "--study", "lenet").output
