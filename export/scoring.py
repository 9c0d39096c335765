"""How good a file is, as it will run: what `tombola evaluate` calls, and what quantising is judged by."""

from tombola.errors import DataError
from tombola.export.tasks.table import EXPORTS
from tombola.runtime.load import ModelSource, load
from tombola.train.evaluate import Named, Scores, Split, evaluate_model
from tombola.train.tasks.task import Tell, silent


def score_file(
    model: ModelSource,
    pictures: Named | Split,
    *,
    device: str = "auto",
    threads: int | None = None,
    tell: Tell = silent,
) -> Scores:
    """Score a contract file, a path or bytes, on labelled pictures. Raises what `load` and `evaluate_model`
    raise; DataError for a task without right answers."""
    loaded = load(model, device, threads)
    answers = EXPORTS[loaded.contract.task].answers
    if answers is None:
        raise DataError(
            f"a model of the task {loaded.contract.task} has no right answers to be scored by; leave "
            "--pictures out"
        )
    return evaluate_model(
        loaded.contract.task,
        answers(loaded),
        loaded.labels,
        pictures,
        shrink=loaded.shrink,
        of_clips=loaded.takes_clips,
        tell=tell,
    )
