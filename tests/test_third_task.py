"""A third task, added by a row in each of the four tables and by nothing else: it weighs things in points."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import typer
from torch import Tensor, nn
from typer.testing import CliRunner

import tombola
from tombola.cli import tasks as cli
from tombola.cli.main import app
from tombola.errors import ModelError
from tombola.export.exportable import Exportable
from tombola.export.parity.question import Options, Question
from tombola.export.run import export_run
from tombola.export.tasks import table as export
from tombola.runtime.contract.contract import Contract
from tombola.runtime.load import load
from tombola.runtime.model import Model
from tombola.runtime.session.contestant import Measured
from tombola.runtime.tasks import table as runtime
from tombola.runtime.tasks.difference import Arrays, Difference
from tombola.runtime.tasks.signature import Signature, TensorSpec
from tombola.runtime.verify import verify
from tombola.train.metrics.score import Score
from tombola.train.recipe.recipe import Recipe
from tombola.train.run.folder import RunFolder
from tombola.train.tasks import table as train
from tombola.train.tasks.detect.task import DetectTask

WEIGH = Signature(
    inputs=(TensorSpec("things", "float32", ("n", 3)),),
    optional_inputs=(TensorSpec("tare", "float32", (), least=-1, most=1),),
    outputs=(TensorSpec("points", "float32", ("n",)),),
    labels="absent",
    vocabulary="required",
)
WORDS = ("length", "width", "height")


class Scales(Model):
    """A loaded file of the task."""

    def answer(self, feeds: Arrays) -> list[float]:
        found = self.outputs(feeds)
        check_points(found, 0)
        points: list[float] = found["points"].tolist()
        return points


def check_points(answer: Arrays, n_labels: int) -> None:
    if n_labels or answer["points"].ndim != 1 or not np.isfinite(answer["points"]).all():
        raise ModelError("the answer is not finite points [n].")


class PointYardstick:
    counted = "points"

    def count(self, answer: Arrays) -> int:
        return len(answer["points"])

    def headline(self, answer: Arrays, labels: Sequence[str]) -> str:
        assert not labels
        return f"{answer['points'].sum():g}"

    def describe(self, answer: Arrays) -> str:
        return f"{self.count(answer)} points"

    def differences(
        self, found: Arrays, wanted: Arrays, factor: float = 1.0
    ) -> tuple[Difference, ...] | None:
        if found["points"].shape != wanted["points"].shape:
            return None
        off = float(np.abs(found["points"] - wanted["points"]).max(initial=0.0))
        return (Difference("point_difference", "points", off, factor * 1e-3),)


class WeighAsking:
    """No picture anywhere."""

    breaks_ties = False
    share = 0.1

    def questions(self, photos: Sequence[Any], sizes_hw: Sequence[tuple[int, int]]) -> Sequence[Question]:
        assert not photos
        assert not sizes_hw
        return [Question("made-up", {"things": things(count)}) for count in (1, 4, 50)]

    def options(self, defaults: Options) -> Sequence[Options]:
        return (defaults, {"tare": 1.0})

    def probes(self, photos: Sequence[Any]) -> Sequence[Question]:
        assert not photos
        return [Question("probe", {"things": things(5)})]

    def probe_options(self) -> Sequence[Options]:
        return ({"tare": 0.5},)


def things(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)


class WeighRecipe(Recipe):
    task: Literal["weigh"]


class Weights(nn.Module):
    """points = things · weight + bias - tare."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, things: Tensor) -> Tensor:
        return self.layer(things)[:, 0]  # type: ignore[no-any-return]


class WeighThings(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, things: Tensor, tare: Tensor) -> tuple[Tensor]:
        return (self.network(things) - tare,)


def exportable(network: Weights, recipe: WeighRecipe) -> Exportable:
    assert recipe.task == "weigh"
    example = (torch.zeros((7, 3)), torch.tensor(0.0))
    return Exportable(
        "weigh", network, WeighThings, WeighAsking(), example, vocabulary=WORDS, defaults={"tare": 0.0}
    )


def weigh(model: Path) -> None:
    """Weigh three things."""
    loaded = load(model, "cpu")
    typer.echo(json.dumps(loaded.answer({"things": np.eye(3, dtype=np.float32)})))


def evaluate(asked: Any) -> str:
    return f"{asked.path} is good"


def look(asked: Any, *_: Any) -> tuple[list[tuple[str, str]], list[Any]]:
    return [("things", asked.name)], []


def holds(things: Path, pictures: Path | None) -> bool:
    return pictures is None and things.suffix == ".things"


RECIPE = """
task = "weigh"
name = "balance"
data = {}
picture = { mean = [0.0], scale = [1.0] }
"""


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> None:
    """The four rows."""
    monkeypatch.setitem(
        train.TASKS,
        "weigh",
        train.Row(WeighRecipe, DetectTask, lambda *_: Weights(), Score("off", "points", False)),
    )
    row = export.ExportTask("scales.onnx", exportable, lambda _: (), lambda _: WeighAsking(), lambda _: repr)
    monkeypatch.setitem(export.EXPORTS, "weigh", row)
    monkeypatch.setitem(
        runtime.TASKS,
        "weigh",
        runtime.Task(WEIGH, check_points, Scales, PointYardstick(), lambda *_: {"things": things(10)}),
    )
    here = __name__
    weigh, evaluate, look, holds = ((here, name) for name in ("weigh", "evaluate", "look", "holds"))
    commands = cli.TaskCommands("scales", weigh, "", evaluate, (), look, holds, look)
    monkeypatch.setitem(cli.TASKS, "weigh", commands)


@pytest.fixture
def run(third: None, tmp_path: Path) -> Path:  # noqa: ARG001
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_recipe(RECIPE)
    weights: Mapping[str, Tensor] = {
        "layer.weight": torch.tensor([[1.0, 2.0, 4.0]]), "layer.bias": torch.tensor([0.25])
    }  # fmt: skip
    folder.write_weights("best", weights, {})
    folder.write_lineage({"parent": None})
    return folder.path


def tombola_says(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_four_tables_have_the_same_tasks() -> None:
    assert list(train.TASKS) == list(export.EXPORTS) == list(runtime.TASKS) == list(cli.TASKS)


def test_a_third_task_needs_four_rows(run: Path, tmp_path: Path) -> None:
    report = export_run(run, tmp_path / "scales.onnx")
    assert report.parity.count == 2 * 55
    assert report.contract.labels == ()
    assert report.contract.vocabulary == WORDS
    assert report.contract.probes[0].png == b""
    model = load(report.path, "cpu")
    assert isinstance(model, Scales)
    assert model.answer({"things": np.eye(3, dtype=np.float32)}) == [1.25, 2.25, 4.25]
    tared = {"things": np.eye(3, dtype=np.float32), **WEIGH.option_feeds({"tare": 0.25})}
    assert model.answer(tared) == [1, 2, 4]
    checked = verify(report.path, "cpu")
    assert (checked.ok, checked.count, checked.counted) == (True, 5, "points")


def test_every_command_takes_it(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # They ask another process, to which the rows of this test are unknown.
    monkeypatch.setattr("tombola.runtime.session.bench.Contestant", Measured)
    monkeypatch.setattr("tombola.runtime.verify.verify_apart", verify)
    path = tmp_path / "scales.onnx"
    assert "5 points" not in tombola_says("export", run, "-o", path)
    assert json.loads(tombola_says("weigh", path)) == [1.25, 2.25, 4.25]
    assert "5 points compared" in tombola_says("verify", path, "--device", "cpu")
    assert "vocabulary  3: length, width, height" in tombola_says("inspect", path)
    assert "labels" not in tombola_says("inspect", path).split("Card")[0]
    measured = json.loads(tombola_says("bench", path, "--rounds", 1, "--device", "cpu", "--json"))
    assert measured["latency_p50_ms"] > 0
    assert tombola_says("evaluate", path) == f"{path} is good\n"
    assert "things  a.things" in tombola_says("data", "check", tmp_path / "a.things")
    assert "things  balance" in tombola_says("data", "check", run / "recipe.toml")
    assert "weigh" in tombola_says("--help")


def test_a_camera_does_not_suit_it(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "scales.onnx")
    done = CliRunner().invoke(
        app, ["webcam", "-m", str(tmp_path / "scales.onnx"), "--save", str(tmp_path / "a.mp4")]
    )
    assert done.exit_code == 1
    assert "a camera gives pictures, and a model of the task weigh takes something else" in done.output


@pytest.mark.usefixtures("third")
def test_words_are_held_to_what_the_task_has() -> None:
    Contract("weigh", (), {"tare": 0.0}, vocabulary=WORDS)
    with pytest.raises(ModelError, match=r"tombola\.vocabulary: must be a list of one or more names"):
        Contract("weigh", (), {"tare": 0.0})
    with pytest.raises(ModelError, match=r"tombola\.labels: a file of this task has none"):
        Contract("weigh", ("cat",), {"tare": 0.0}, vocabulary=WORDS)
    with pytest.raises(ModelError, match=r"tare: 2\.0 must be a number from -1 to 1"):
        Contract("weigh", (), {"tare": 2.0}, vocabulary=WORDS)
    metadata = Contract("weigh", (), {"tare": 0.0}, vocabulary=WORDS).to_metadata()
    assert "tombola.labels" not in metadata
    assert "names" not in metadata
    assert Contract.from_metadata(metadata).vocabulary == WORDS
    del metadata["tombola.vocabulary"]
    with pytest.raises(ModelError, match=r"tombola\.vocabulary: is missing"):
        Contract.from_metadata(metadata)


def test_the_public_face_loads_it(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "scales.onnx")
    assert repr(tombola.load(tmp_path / "scales.onnx", "cpu")) == "<Scales of 0 classes on cpu>"
