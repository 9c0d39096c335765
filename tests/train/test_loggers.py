"""training.log: what is written where, and what a missing package says."""

import csv
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tombola.errors import TrainingError
from tombola.train.loop.loggers import open_loggers
from tombola.train.run.folder import RunFolder
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

SHORT = ["training.epochs=2", "training.batch_size=2"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_steps_and_epochs(toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.train.loop.loop.LOGGED_STEPS", 2)
    overrides = [*SHORT, "training.log=csv"]
    run = train_recipe(toy_recipe, tmp_path / "run", overrides=overrides, device="cpu", quiet=True)
    logged = rows(run.path / "csv" / "version_0" / "metrics.csv")
    assert {int(row["step"]) for row in logged if row["loss"]} == {2, 4, 6, 8}
    kept = {int(row["step"]): row for row in run.read_metrics()}
    ends = {int(row["step"]): row for row in logged if row["epoch_loss"]}
    assert ends.keys() == kept.keys() == {4, 8}
    for step, row in kept.items():
        assert float(ends[step]["epoch_loss"]) == pytest.approx(row["loss"], rel=1e-6)
        assert float(ends[step]["epoch_valid_voc07_map"]) == pytest.approx(row["valid_voc07_map"], rel=1e-6)


def test_tensorboard_gets_event_files(toy_recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    overrides = [*SHORT, "training.log=tensorboard"]
    run = train_recipe(toy_recipe, tmp_path / "run", overrides=overrides, device="cpu", quiet=True)
    (events,) = (run.path / "tensorboard" / "version_0").iterdir()
    content = events.read_bytes()
    assert b"epoch_valid_voc07_map" in content


class StandIn(ModuleType):
    """What of MLflow is called, written down."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.calls: list[Any] = []
        self.exceptions = SimpleNamespace(MlflowException=ValueError)

    def start_run(self, *, run_id: str | None, run_name: str | None) -> Any:
        if os.environ.get("MLFLOW_TRACKING_URI") == "nowhere":
            raise ValueError("there is no store")
        self.calls.append(("start", run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id="abc"))

    def log_metrics(self, metrics: dict[str, float], *, step: int) -> None:
        self.calls.append(("log", step, sorted(metrics)))

    def end_run(self, status: str) -> None:
        self.calls.append(("end", status))


@pytest.mark.slow
def test_mlflow_gets_one_run_for_a_training_that_goes_on(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    mlflow = StandIn()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    overrides = ["training.epochs=1", "training.batch_size=2", "training.log=mlflow"]
    train_recipe(toy_recipe, tmp_path / "run", overrides=overrides, device="cpu", quiet=True)
    assert mlflow.calls[0] == ("start", None, "toy")
    assert mlflow.calls[1][:2] == ("log", 4)
    assert "epoch_valid_voc07_map" in mlflow.calls[1][2]
    assert mlflow.calls[2:] == [("end", "FINISHED")]
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    mlflow.calls.clear()
    overrides[0] = "training.epochs=2"
    train_recipe(toy_recipe, tmp_path / "run", overrides=overrides, resume=True, device="cpu", quiet=True)
    assert mlflow.calls[0] == ("start", "abc", None)


def test_what_mlflow_refuses_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", StandIn())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere")
    with (
        pytest.raises(TrainingError, match="there is no store; set MLFLOW_TRACKING_URI"),
        open_loggers("mlflow", RunFolder(tmp_path), "toy") as (logger,),
    ):
        logger.log_metrics({"loss": 1.0}, step=1)


@pytest.mark.parametrize(
    ("log", "module", "package"),
    [("mlflow", "mlflow", "mlflow"), ("tensorboard", "", "tensorboardX")],
)
def test_a_missing_package_is_named(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, module: str, package: str
) -> None:
    if module:
        monkeypatch.setitem(sys.modules, module, None)
    else:
        for name in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
            monkeypatch.setattr(f"lightning_fabric.loggers.tensorboard.{name}", False)
    with pytest.raises(
        TrainingError, match=f'"{log}" needs a package that is not here: pip install {package}'
    ):
        train_recipe(
            toy_recipe, tmp_path / "run", overrides=[f"training.log={log}"], device="cpu", quiet=True
        )
    assert not (tmp_path / "run").exists()
