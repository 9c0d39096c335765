"""The points of a search on a Ray cluster, by Ray Tune."""

import os
import shutil
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from tombola.errors import DeviceError
from tombola.train.loop.loop import Interrupted
from tombola.train.metrics.score import Score
from tombola.train.run.folder import RunFolder
from tombola.train.run.ray_cluster import import_ray, ray_cluster
from tombola.train.search.outcome import Outcome, keep, kept, measured
from tombola.train.search.point import Point
from tombola.train.search.process import RECIPE, PointProcess

LOOK_SECONDS = 0.5
TUNE_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    # A point that never got a score reports none.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Ctrl-C then comes here, as everywhere else.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


def run_on_ray(
    points: Sequence[Point],
    folder: Path,
    *,
    jobs: int | None,
    device: str,
    score: Score,
    stop_early: bool,
    ended: Callable[[Outcome], None],
) -> None:
    """Run each point as a trial of Ray Tune on one core, or one GPU where the cluster has any, and tell
    `ended` what became of it.

    `folder` must be at the same path on every machine. Raises TrainingError if Ray is not installed,
    DeviceError if CUDA is asked for and the cluster has no GPU, Interrupted after SIGINT.
    """
    for name, value in TUNE_SETTINGS.items():
        os.environ.setdefault(name, value)
    tune = import_ray("ray.tune")
    if not points:
        return
    folder, scheduler = folder.resolve(), _scheduler(folder, stop_early)
    try:
        with ray_cluster() as ray:
            trial = tune.with_resources(
                _trial(points, folder, device, score), _resources(ray.cluster_resources(), device)
            )
            tuner = tune.Tuner(
                trial,
                param_space={"index": tune.grid_search(list(range(len(points))))},
                tune_config=tune.TuneConfig(
                    metric="score",
                    mode="max" if score.higher_is_better else "min",
                    max_concurrent_trials=jobs,
                    scheduler=scheduler,
                ),
                run_config=tune.RunConfig(name="tune", storage_path=str(folder / ".ray"), verbose=0),
            )
            # What Ray says of its own accord is no result.
            with redirect_stdout(sys.stderr), _watching(points, folder, ended):
                for result in tuner.fit():
                    _close(points[result.config["index"]], folder, score, result.error)
    except KeyboardInterrupt:
        raise Interrupted("stopped; the points that ended are kept") from None
    finally:
        shutil.rmtree(folder / ".ray", ignore_errors=True)


def _trial(
    points: Sequence[Point], folder: Path, device: str, score: Score
) -> Callable[[dict[str, Any]], None]:
    """What a machine of the cluster does: run the point and report each score to Ray Tune."""

    def train_point(config: dict[str, Any]) -> None:
        from ray import tune

        point = points[config["index"]]
        process = PointProcess(point, folder, device=device, threads=1, score=score)
        reported = 0
        try:
            while True:
                outcome = process.poll()
                rows = RunFolder(process.run).read_metrics()
                for row in rows[reported:]:
                    if score.key in row:
                        tune.report({"score": row[score.key], "epoch": int(row["epoch"])})
                reported = len(rows)
                if outcome is not None:
                    return
                time.sleep(LOOK_SECONDS)
        finally:
            process.stop()
            process.wait()

    return train_point


def _resources(cluster: dict[str, float], device: str) -> dict[str, float]:
    has_gpu = cluster.get("GPU", 0) >= 1
    if device == "cuda" and not has_gpu:
        raise DeviceError(
            "--device cuda: the Ray cluster has no GPU; add a machine that has one, or use --device cpu"
        )
    return {"cpu": 1, "gpu": 1} if has_gpu and device != "cpu" else {"cpu": 1}


def _scheduler(folder: Path, stop_early: bool) -> Any:
    """Asynchronous successive halving, each round with three times the epochs and the best third."""
    if not stop_early:
        return None
    from ray.tune.schedulers import ASHAScheduler

    epochs = tomllib.loads((folder / RECIPE).read_text(encoding="utf-8"))["training"]["epochs"]
    return ASHAScheduler(time_attr="epoch", max_t=epochs, reduction_factor=3, stop_last_trials=False)


@contextmanager
def _watching(points: Sequence[Point], folder: Path, ended: Callable[[Outcome], None]) -> Iterator[None]:
    """Tell what became of each point as soon as its run folder says so."""
    done, open_points = threading.Event(), list(points)

    def look() -> None:
        for point in list(open_points):
            outcome = kept(point, folder / point.name)
            if outcome.state != "open":
                open_points.remove(point)
                ended(outcome)

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        look()


def _close(point: Point, folder: Path, score: Score, error: Exception | None) -> None:
    """A trial that left no outcome was stopped early, or Ray itself failed it."""
    run = folder / point.name
    if kept(point, run).state != "open":
        return
    if error is None:
        keep(measured(point, "stopped", run, score), run)
    else:
        keep(Outcome(point, "failed", reason=f"Ray: {error}"), run)
