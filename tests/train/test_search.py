"""A search on a grid, each point a process: small scripts in the place of trainings, then a real one."""

import csv
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner

from tombola.cli.main import app
from tombola.errors import DeviceError, RecipeError, TrainingError
from tombola.train.loop.loop import Interrupted
from tombola.train.metrics.score import Score
from tombola.train.search.axis import Axis, parse_axis
from tombola.train.search.outcome import Outcome, kept
from tombola.train.search.point import Point, grid
from tombola.train.search.process import command
from tombola.train.search.search import Search, search_recipe

RATE, PENALTY = "training.learning_rate", "training.weight_decay"

# Scores 1 / (1 + |log10(rate) + 3|), so that 0.001 is the best rate; a rate of 1 fails.
TRAINING = """
import json, math, os, pathlib, sys
run, values = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
with open(run / "starts.txt", "a") as file:
    file.write("started\\n")
rate = values["training.learning_rate"]
if rate == 1:
    sys.exit("some progress\\nerror: the loss is not finite\\n  try a lower rate")
score = 1 / (1 + abs(math.log10(rate) + 3)) - values.get("training.weight_decay", 0)
(run / "metrics.csv").write_text(f"epoch,valid_voc07_map\\n1,0\\n2,{score}\\n3,{score / 2}\\n")
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a script in the place of `tombola train`; it is told the run folder and the point's values."""

    def replace(text: str) -> None:
        def fake(point: Point, folder: Path, device: str) -> list[str]:  # noqa: ARG001
            keys = (override.split("=") for override in point.overrides)
            values = json.dumps({key: float(value) for key, value in keys})
            return [sys.executable, "-I", "-S", "-c", text, str(folder / point.name), values]

        monkeypatch.setattr("tombola.train.search.process.command", fake)

    return replace


def states(search: Search) -> dict[str, str]:
    return {outcome.point.name: outcome.state for outcome in search.outcomes}


# The command of a point.


def test_a_point_is_an_ordinary_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process is started with is what `tombola train` understands."""
    given: list[Any] = []

    def train_recipe(*arguments: Any, **options: Any) -> None:
        given.append((*arguments, options))
        raise KeyboardInterrupt

    monkeypatch.setattr("tombola.train.train.train_recipe", train_recipe)
    (point,) = grid([Axis(RATE, ("0.001",)), Axis(PENALTY, ("0",))])
    run = tmp_path / point.name
    for has_checkpoint in (False, True):
        if has_checkpoint:
            run.mkdir()
            (run / "checkpoint.safetensors").touch()
        python, *rest = command(point, tmp_path, "cpu")
        assert (python, rest[:3]) == (sys.executable, ["-P", "-m", "tombola.cli"])
        CliRunner().invoke(app, rest[3:])
        *paths, options = given.pop()
        assert paths == [tmp_path / "recipe.toml", run]
        assert options["overrides"] == ["training.learning_rate=0.001", "training.weight_decay=0"]
        assert (options["device"], options["resume"]) == ("cpu", has_checkpoint)


# Whole searches.


def test_the_best_point_comes_first(toy_recipe: Path, tmp_path: Path, script: Callable[[str], None]) -> None:
    script(TRAINING)
    lines: list[str] = []
    axes = [parse_axis(RATE, "1e-4:1:5"), parse_axis(PENALTY, "0,0.25")]
    search = search_recipe(toy_recipe, axes, tmp_path / "out", jobs=2, told=lines.append)

    assert search.score == Score("voc07_map", "share", higher_is_better=True)
    assert len(search.outcomes) == 10
    best = search.outcomes[0]
    assert (best.point.values, best.score, best.epoch, best.state) == (("0.001", "0"), 1.0, 2, "done")
    scores = [outcome.score for outcome in search.outcomes[:8]]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    failed = search.outcomes[8:]
    assert {outcome.point.values for outcome in failed} == {("1", "0"), ("1", "0.25")}
    assert {(outcome.state, outcome.score) for outcome in failed} == {("failed", None)}
    assert {outcome.reason for outcome in failed} == {"the loss is not finite try a lower rate"}
    assert [line.split()[0] for line in lines] == [f"{n}/10" for n in range(1, 11)]

    with (tmp_path / "out" / "search.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [point.name for point in grid(axes)]
    assert [float(row["voc07_map"]) for row in rows if row[RATE] == "0.1"] == pytest.approx([1 / 3, 1 / 12])
    assert {row["state"] for row in rows if row[RATE] == "1"} == {"failed"}
    assert cv2.imread(str(tmp_path / "out" / "search.png")) is not None


def test_what_has_ended_is_kept_and_what_failed_is_tried_again(
    toy_recipe: Path, tmp_path: Path, script: Callable[[str], None]
) -> None:
    def starts(name: str) -> int:
        return len((tmp_path / "out" / name / "starts.txt").read_text().splitlines())

    script(TRAINING)
    first = search_recipe(toy_recipe, [parse_axis(RATE, "1e-3,1")], tmp_path / "out")
    assert states(first) == {"learning_rate=0.001": "done", "learning_rate=1": "failed"}
    script(TRAINING.replace("rate == 1", "rate == 2"))
    lines: list[str] = []
    axes = [parse_axis(RATE, "1e-3,1,1e-2")]
    second = search_recipe(toy_recipe, axes, tmp_path / "out", told=lines.append)
    assert [outcome.point.values for outcome in second.outcomes] == [("0.001",), ("0.01",), ("1",)]
    assert set(states(second).values()) == {"done"}
    assert [starts(outcome.point.name) for outcome in second.outcomes] == [1, 1, 2]
    assert lines[0] == "1 of 3 points have ended before and are kept"
    assert second.outcomes[0] == Outcome(Point(tuple(axes), ("0.001",)), "done", 1.0, 2)


def test_a_damaged_outcome_is_named(tmp_path: Path) -> None:
    point = grid([parse_axis(RATE, "1e-3")])[0]
    for text in ("", "[]", '{"colour": "red"}'):
        (tmp_path / "outcome.json").write_text(text)
        with pytest.raises(TrainingError, match=r"outcome\.json is damaged"):
            kept(point, tmp_path)


def test_another_recipe_needs_another_folder(
    toy_recipe: Path, tmp_path: Path, script: Callable[[str], None]
) -> None:
    script(TRAINING)
    axes = [parse_axis(RATE, "1e-3")]
    search_recipe(toy_recipe, axes, tmp_path / "out")
    with pytest.raises(RecipeError, match=r"was searched with another recipe.*choose another --out"):
        search_recipe(toy_recipe, axes, tmp_path / "out", overrides=["training.epochs=7"])


@pytest.mark.parametrize(
    ("axes", "options", "message"),
    [
        ([Axis(RATE, ("0.1", "0"))], {}, r"training\.learning_rate = 0"),
        ([Axis("training.rate", ("1",))], {}, r"training\.rate is not a known key"),
        ([Axis(RATE, ("1",))], {"overrides": ["data.valid=[]"]}, r"no data\.valid, so nothing tells"),
        ([Axis(RATE, ("1",))], {"stop_early": True}, "only Ray Tune stops points early; add --ray"),
        ([], {}, "nothing to search"),
    ],
)
def test_faults_show_before_anything_starts(
    toy_recipe: Path, tmp_path: Path, axes: Sequence[Axis], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        search_recipe(toy_recipe, axes, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_points_run_side_by_side(toy_recipe: Path, tmp_path: Path, script: Callable[[str], None]) -> None:
    """Each waits for the other to have started: alone neither would end."""
    meet = """
import time
deadline = time.monotonic() + 20
while len(list(run.parent.glob("*/starts.txt"))) < 2:
    if time.monotonic() > deadline:
        sys.exit("error: alone")
    time.sleep(0.01)
"""
    script(TRAINING + meet)
    search = search_recipe(toy_recipe, [parse_axis(RATE, "1e-3,1e-2")], tmp_path / "out", jobs=2)
    assert [outcome.state for outcome in search.outcomes] == ["done", "done"]


def test_no_more_than_jobs_run_at_once(
    toy_recipe: Path, tmp_path: Path, script: Callable[[str], None]
) -> None:
    exclusive = """
import time
lock = run.parent / "lock"
os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
time.sleep(0.1)
lock.unlink()
"""
    script(TRAINING + exclusive)
    search = search_recipe(toy_recipe, [parse_axis(RATE, "1e-3,1e-2,1e-1")], tmp_path / "out")
    assert [outcome.state for outcome in search.outcomes] == ["done"] * 3


def test_each_process_has_its_threads(
    toy_recipe: Path, tmp_path: Path, script: Callable[[str], None]
) -> None:
    script(TRAINING + "(run / 'threads').write_text(os.environ['OMP_NUM_THREADS'])")
    search_recipe(toy_recipe, [parse_axis(RATE, "1e-3")], tmp_path / "out", threads=3)
    assert (tmp_path / "out" / "learning_rate=0.001" / "threads").read_text() == "3"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("sys.exit(7)", r"ended with exit code 7; see .*log\.txt"),
        ("os.kill(os.getpid(), 9)", r"ended by signal 9; see .*log\.txt"),
    ],
)
def test_an_end_without_words(
    toy_recipe: Path, tmp_path: Path, script: Callable[[str], None], end: str, reason: str
) -> None:
    # A score before the failure must not make the point the best.
    script(TRAINING + f"import os, sys\n{end}")
    (outcome,) = search_recipe(toy_recipe, [parse_axis(RATE, "1e-3")], tmp_path / "out").outcomes
    assert (outcome.state, outcome.score) == ("failed", None)
    assert re.fullmatch(reason, outcome.reason)


def test_ctrl_c_lets_each_process_save_its_state(
    toy_recipe: Path, tmp_path: Path, script: Callable[[str], None]
) -> None:
    script(
        """
import os, pathlib, signal, sys, time
run = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: ((run / "saved").touch(), sys.exit(130)))
(run / "ready").touch()
while len(list(run.parent.glob("*/ready"))) < 2:
    time.sleep(0.01)
if run.name.endswith("0.001"):
    os.kill(os.getppid(), signal.SIGINT)
time.sleep(60)
"""
    )
    with pytest.raises(Interrupted, match="stopped with 3 points to go"):
        search_recipe(toy_recipe, [parse_axis(RATE, "1e-3,1e-2,1e-1")], tmp_path / "out", jobs=2)
    assert len(list((tmp_path / "out").glob("*/saved"))) == 2
    assert not list((tmp_path / "out").glob("*/outcome.json"))


# The picture.


# Ray.


def test_without_ray_the_cure_is_told(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(TrainingError, match=r"needs ray\[tune\].*pip install 'tombola\[scale\]'"):
        search_recipe(toy_recipe, [Axis(RATE, ("0.001",))], tmp_path / "out", ray=True)
    assert not (tmp_path / "out").exists()


class Stopped(BaseException):
    """Ray Tune ends a trial so: by an exception that `except Exception` does not catch."""


class FakeTune(ModuleType):
    """As much of Ray Tune as a search uses: one trial after another, and an end after a first bad score."""

    def __init__(self) -> None:
        super().__init__("ray.tune")
        self.reports: list[dict[str, float]] = []
        self.resources: dict[str, float] = {}
        self.settings: dict[str, Any] = {}
        self.TuneConfig = self.RunConfig = lambda **given: self.settings.update(given)
        self.grid_search = list
        self.Tuner = self.tuner

    def with_resources(self, trial: Callable[..., None], resources: dict[str, float]) -> Callable[..., None]:
        self.resources = resources
        return trial

    def report(self, metrics: dict[str, float]) -> None:
        self.reports.append(metrics)
        if self.settings["scheduler"] is not None and metrics["score"] < 0.1:
            raise Stopped

    def tuner(self, trial: Callable[..., None], *, param_space: dict[str, list[int]], **_: Any) -> Any:
        def fit() -> list[Any]:
            results = []
            for index in param_space["index"]:
                error = None
                try:
                    trial({"index": index})
                except Stopped:
                    pass
                except RuntimeError as fault:
                    error = fault
                results.append(SimpleNamespace(config={"index": index}, error=error))
            return results

        return SimpleNamespace(fit=fit)


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> FakeTune:
    tune, ray, schedulers = FakeTune(), ModuleType("ray"), ModuleType("ray.tune.schedulers")
    ray.__dict__.update(
        tune=tune, init=lambda **_: None, shutdown=lambda: None, cluster_resources=lambda: {"CPU": 4.0}
    )
    schedulers.__dict__["ASHAScheduler"] = lambda **given: given
    for name, module in (("ray", ray), ("ray.tune", tune), ("ray.tune.schedulers", schedulers)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("tombola.train.search.cluster.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("tombola.train.search.cluster.TUNE_SETTINGS", {})
    monkeypatch.setattr("tombola.train.run.ray_cluster.QUIET", {})
    return tune


def test_a_search_on_ray_ends_as_one_here(
    toy_recipe: Path, tmp_path: Path, script: Callable[[str], None], fake_ray: FakeTune
) -> None:
    script(TRAINING)
    axes = [parse_axis(RATE, "1e-4:1:5")]
    lines: list[str] = []
    here = search_recipe(toy_recipe, axes, tmp_path / "here")
    there = search_recipe(toy_recipe, axes, tmp_path / "there", ray=True, jobs=3, told=lines.append)
    assert there.outcomes == here.outcomes
    assert fake_ray.resources == {"cpu": 1}
    assert fake_ray.settings["max_concurrent_trials"] == 3
    assert [line.split()[0] for line in lines] == [f"{n}/5" for n in range(1, 6)]
    assert fake_ray.reports[:3] == [
        {"score": 0.0, "epoch": 1},
        {"score": 0.5, "epoch": 2},
        {"score": 0.25, "epoch": 3},
    ]
    assert not (tmp_path / "there" / ".ray").exists()


def test_what_ray_stops_early_is_an_outcome(
    toy_recipe: Path, tmp_path: Path, script: Callable[[str], None], fake_ray: FakeTune
) -> None:
    script(
        "import pathlib, sys, time; run = pathlib.Path(sys.argv[1]);"
        "(run / 'metrics.csv').write_text('epoch,valid_voc07_map\\n1,0.05\\n'); time.sleep(60)"
    )
    overrides = ["training.epochs=9"]
    search = search_recipe(
        toy_recipe,
        [parse_axis(RATE, "1e-3,1e-2")],
        tmp_path / "out",
        ray=True,
        stop_early=True,
        overrides=overrides,
    )
    assert [(outcome.state, outcome.score) for outcome in search.outcomes] == [("stopped", 0.05)] * 2
    assert fake_ray.settings["scheduler"]["max_t"] == 9
    again = search_recipe(
        toy_recipe, [parse_axis(RATE, "1e-3,1e-2")], tmp_path / "out", ray=True, overrides=overrides
    )
    assert again.outcomes == search.outcomes


@pytest.mark.usefixtures("fake_ray")
def test_a_trial_that_ray_loses_has_failed(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise RuntimeError("the node died")

    monkeypatch.setattr("tombola.train.search.cluster.PointProcess", lost)
    (outcome,) = search_recipe(toy_recipe, [Axis(RATE, ("0.001",))], tmp_path / "out", ray=True).outcomes
    assert (outcome.state, outcome.reason) == ("failed", "Ray: the node died")


@pytest.mark.usefixtures("fake_ray")
def test_a_cluster_without_a_gpu(toy_recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="the Ray cluster has no GPU"):
        search_recipe(toy_recipe, [Axis(RATE, ("0.001",))], tmp_path / "out", ray=True, device="cuda")


@pytest.mark.slow
@pytest.mark.parametrize("ray", [False, True])
def test_a_real_search(toy_recipe: Path, tmp_path: Path, ray: bool) -> None:
    """Two trainings, one of which cannot be; the other's weights are those of `tombola train`."""
    if ray:
        pytest.importorskip("ray")
    axes = [Axis("training.batch_size", ("4", "99"))]
    search = search_recipe(toy_recipe, axes, tmp_path / "out", jobs=2, device="cpu", ray=ray)
    assert states(search) == {"batch_size=4": "done", "batch_size=99": "failed"}
    assert "more than there are training pictures" in search.outcomes[1].reason
    alone = ["train", str(toy_recipe), "--out", str(tmp_path / "alone"), "--device", "cpu"]
    assert CliRunner().invoke(app, alone).exit_code == 0
    weights = [path / "last.safetensors" for path in (tmp_path / "alone", tmp_path / "out" / "batch_size=4")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
