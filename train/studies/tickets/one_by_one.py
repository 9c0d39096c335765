"""Networks of any kind, trained one after the other by the training loop, each in a run folder of its own."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from tombola.train.prune.reestimate import reestimate
from tombola.train.prune.retrain import retrain
from tombola.train.prune.weights.mask import Mask
from tombola.train.prune.weights.rewind import Start
from tombola.train.run.folder import RunFolder
from tombola.train.studies.accuracy import share_right
from tombola.train.studies.tickets.trial import Trained, Trial
from tombola.train.tasks.classify.task import ClassifyTask


def train_one_by_one(
    tasks: Sequence[ClassifyTask],
    runs: Sequence[RunFolder],
    starts: Sequence[Start],
    masks: Sequence[Mask | None],
) -> list[Trained]:
    """Train from each start, under its mask, with the pictures in the order of its task's seed, or go on
    where it stopped. A run keeps its early weights itself. Raises TrainingError and Interrupted."""
    trained = []
    for task, run, start, mask in zip(tasks, runs, starts, masks, strict=True):
        retrain(task, run, start, "theta0", mask=mask, device="cpu", quiet=True)
        last = run.read_weights("last")
        trial = _trial(task, run, right_on_test(task, run.read_weights("best")), right_on_test(task, last))
        trained.append(Trained(trial, last, {}))
    return trained


def right_on_test(task: ClassifyTask, weights: Mapping[str, Tensor], *, anew: bool = False) -> float:
    """Share of the test pictures, 0 … 1, that the network with these weights has right; anew: with statistics
    of batch norm estimated anew, for weights that were not trained."""
    network = task.build_network(start=False).eval()
    network.load_state_dict(dict(weights))
    if anew:
        reestimate(network, task)
    return share_right(network, task.recipe.with_classes(task.classes), "test")


def _trial(task: ClassifyTask, run: RunFolder, best_test: float, last_test: float) -> Trial:
    rows = [row for row in run.read_metrics() if task.score.key in row]
    best = task.score.best(rows)
    assert best is not None
    return Trial(
        steps=[int(row["step"]) for row in rows],
        valid_losses=[row["valid_cross_entropy"] for row in rows],
        valid_accuracies=[row[task.score.key] for row in rows],
        stop_step=int(best["step"]),
        stop_test=best_test,
        last_test=last_test,
    )
