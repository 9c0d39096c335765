"""Where the figures of a training go besides the run folder: to what Fabric can log to."""

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning_fabric.loggers.csv_logs import CSVLogger
from lightning_fabric.loggers.logger import Logger
from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from lightning_fabric.utilities.rank_zero import rank_zero_only

from tombola.errors import TrainingError
from tombola.train.run.folder import RunFolder, write_atomic

MLFLOW_RUN = "mlflow-run.txt"


@contextmanager
def open_loggers(log: str, run: RunFolder, name: str) -> Iterator[list[Logger]]:
    """The loggers of training.log, closed at the end: "csv" writes to RUN/csv, "tensorboard" to
    RUN/tensorboard, each start of the training into a folder version_N, "mlflow" to where MLflow is set up
    to; none for "".

    TrainingError if the package that does it is not installed.
    """
    try:
        loggers = _loggers(log, run, name)
    except ModuleNotFoundError:
        package = {"tensorboard": "tensorboardX", "mlflow": "mlflow"}[log]
        raise TrainingError(
            f'training.log = "{log}" needs a package that is not here: pip install {package}, or leave it out'
        ) from None
    status = "stopped"
    try:
        yield loggers
        status = "success"
    finally:
        for logger in loggers:
            logger.finalize(status)


def _loggers(log: str, run: RunFolder, name: str) -> list[Logger]:
    match log:
        case "csv":
            return [CSVLogger(run.path, name="csv")]
        case "tensorboard":
            return [TensorBoardLogger(run.path, name="tensorboard")]
        case "mlflow":
            return [MlflowLogger(run, name)]
    return []


class MlflowLogger(Logger):
    """A run of MLflow, of the experiment that its environment names; a training that goes on goes on in it.

    MLflow reads MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME. What it would tell its makers is off.
    """

    def __init__(self, run: RunFolder, name: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        import mlflow

        self._mlflow, self._run, self._name, self._id = mlflow, run, name, ""

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        return self._id

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._begin()
        self._mlflow.log_metrics(metrics, step=step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        self._begin()
        self._mlflow.log_params(params if isinstance(params, dict) else vars(params))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._id:
            self._mlflow.end_run("FINISHED" if status == "success" else "KILLED")

    def _begin(self) -> None:
        if self._id:
            return
        kept = self._run.path / MLFLOW_RUN
        before = kept.read_text(encoding="utf-8").strip() if kept.exists() else None
        try:
            begun = self._mlflow.start_run(run_id=before, run_name=None if before else self._name)
        except self._mlflow.exceptions.MlflowException as error:
            raise TrainingError(
                f"MLflow cannot log: {error}; set MLFLOW_TRACKING_URI, or leave training.log out"
            ) from None
        self._id = begun.info.run_id
        write_atomic(kept, self._id.encode())
