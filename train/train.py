"""Pictures -> run folder: the whole of `tombola train`."""

import os
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tombola.errors import RecipeError, TrainingError
from tombola.train.doctor.checks.material import FULL_BUDGET_S
from tombola.train.doctor.preflight import Preflight, preflight
from tombola.train.doctor.report import write_report
from tombola.train.loop.fabric import open_fabric
from tombola.train.loop.learn.moments_learner import MomentsLearner
from tombola.train.loop.loggers import open_loggers
from tombola.train.loop.loop import train
from tombola.train.loop.progress import ProgressLine
from tombola.train.recipe.recipe import to_toml
from tombola.train.run.device import choose_device
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.table import load_recipe, open_task
from tombola.train.tasks.task import MomentsTask

# What of a recipe may differ where a run goes on: how its work is done, where its files lie now (a checkpoint
# has the weights, and knows its pictures), and more epochs than before.
OF_NO_CONSEQUENCE = ("training.workers", "training.checkpoint_minutes", "training.log")
PLACES = ("data.root", "start.weights", "distill.teacher")
EPOCHS = "training.epochs"


def train_recipe(
    recipe_path: Path,
    run_path: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    device: str = "auto",
    quiet: bool = False,
) -> RunFolder:
    """Train as the recipe says and return the run folder, runs/NAME by default.

    device: auto, cpu or cuda. Under `torchrun` every process calls this, and they share each batch.
    Raises RecipeError, DataError, TrainingError, DeviceError; Interrupted after SIGINT, with the state saved.
    """
    device = choose_device(device)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    run = RunFolder(run_path or Path("runs") / load_recipe(recipe_path, overrides).name)
    task = open_task(recipe_path, overrides, run.read_widths() if resume else None)
    if processes > 1:
        task.check_shares()
    if resume:
        _same_recipe(task.recipe_toml(), run)
    else:
        task.check_test()
    with open_loggers(task.settings.log, run, task.name) as loggers:
        fabric = open_fabric(task.settings.precision, device=device, processes=processes, loggers=loggers)
        learner = None
        if isinstance(task, MomentsTask) and task.by_moments:
            learner = MomentsLearner(task, fabric)
        train(task, run, resume=resume, fabric=fabric, learner=learner, quiet=quiet)
    if fabric.is_global_zero:
        progress = ProgressLine(0, quiet=quiet)
        write_report(run, task, device=device, tell=progress.judge)
        progress.clear()
    return run


def preflight_recipe(
    recipe_path: Path,
    run_path: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    device: str = "auto",
    budget_s: float = FULL_BUDGET_S,
    say: Callable[[str], None] = lambda _: None,
    show: Callable[[str], None] = lambda _: None,
) -> tuple[RunFolder, Preflight]:
    """Look for faults before a training; preflight.json and range_test.png go to the run folder.

    budget_s: seconds that it may take, about. `say` and `show` get lines of progress, `show` those that may
    replace each other. Raises RecipeError, DataError, DeviceError, OutputError; TrainingError under
    `torchrun`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError("a preflight is the work of one process; start it without torchrun")
    device = choose_device(device)
    task = open_task(recipe_path, overrides)
    run = RunFolder(run_path or Path("runs") / task.name)
    task.check_test()
    result = preflight(task, device=device, budget_s=budget_s, say=say, show=show)
    result.write(run.path)
    return run, result


def _same_recipe(toml: str, run: RunFolder) -> None:
    """A resumed run ends as an uninterrupted one only if nothing of its recipe has changed that counts."""
    if not run.recipe_path.exists():
        return
    now, before = (_flat(tomllib.loads(text)) for text in (toml, to_toml(load_recipe(run.recipe_path))))
    changed = [
        key
        for key in sorted(now.keys() | before.keys())
        if now.get(key) != before.get(key)
        and key not in OF_NO_CONSEQUENCE
        and not (key in PLACES and now.get(key) and before.get(key))
        and not (key == EPOCHS and now[key] > before[key])
    ]
    if changed:
        raise RecipeError(
            f"{run.path} was started with another recipe ({', '.join(changed)} differ); resume with "
            f"tombola train {run.recipe_path} --out {run.path} --resume, or choose another --out"
        )


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
