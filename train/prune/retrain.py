"""Training a pruned network again, and where its dense run stood."""

from collections.abc import Mapping

from torch import Tensor

from tombola.errors import TrainingError
from tombola.train.loop.fabric import open_fabric
from tombola.train.loop.learn.gradient_learner import GradientLearner
from tombola.train.loop.loop import train
from tombola.train.metrics.score import Score
from tombola.train.prune.weights.rewind import Start
from tombola.train.prune.weights.settings import FINE_TUNING, Rewind
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.task import MomentsTask, Task


def retrain(
    task: Task,
    here: RunFolder,
    start: Start,
    rewind: Rewind,
    *,
    mask: Mapping[str, Tensor] | None = None,
    device: str,
    quiet: bool,
) -> None:
    """Train from `start` in the folder `here`, or go on there. Raises TrainingError and Interrupted."""
    fabric = open_fabric(task.settings.precision, device=device, processes=1)
    rate = FINE_TUNING * task.settings.learning_rate if rewind == "finetune" else None
    learner = GradientLearner(task, fabric, rate=rate, weights=start.weights, mask=mask)
    resume = here.has_checkpoint
    train(task, here, resume=resume, fabric=fabric, learner=learner, first_step=start.step, quiet=quiet)


def check_finished(dense: RunFolder, settings: TrainingSettings, score: Score) -> None:
    """TrainingError for a run that has more epochs to train and was not stopped early."""
    rows = dense.read_metrics()
    done, epochs = int(rows[-1]["epoch"]) if rows else 0, settings.epochs
    if dense.has_checkpoint and done < epochs and not score.is_stale(rows, settings.early_stopping_epochs):
        raise TrainingError(
            f"{dense.path} has trained {done} of {epochs} epochs; a ticket is searched in a finished run: go "
            "on with tombola train --resume"
        )


def check_learns(dense: RunFolder, task: Task) -> None:
    """TrainingError for a network that is fitted in closed form: there is nothing to rewind."""
    if isinstance(task, MomentsTask) and task.by_moments:
        raise TrainingError(
            f"the network of {dense.path} is fitted to the pictures at once, and does not train again; only "
            "what learns step by step is pruned"
        )


def dense_score(dense: RunFolder, task: Task) -> tuple[float, int]:
    """The dense run's last score, and the step at which it had it; TrainingError for an unfinished run."""
    check_finished(dense, task.settings, task.score)
    rows = dense.read_metrics()
    name = task.score.key
    scored = [row for row in rows if name in row]
    if not scored:
        raise TrainingError(f"{dense.path} has no validation score to hold tickets to; add data.valid")
    return scored[-1][name], int(scored[-1]["step"])


def reached(here: RunFolder, task: Task, wanted: float) -> tuple[float, int | None]:
    """The last score, and the first step that has the score wanted."""
    name = task.score.key
    scored = [row for row in here.read_metrics() if name in row]
    rank = task.score.rank
    first = next((int(row["step"]) for row in scored if rank(row[name]) <= rank(wanted)), None)
    return scored[-1][name], first
