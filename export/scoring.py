"""How good a file is, as it will run: what `tombola evaluate` calls, and what quantising is judged by."""

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
    raise."""
    loaded = load(model, device, threads)
    return evaluate_model(
        loaded.contract.task,
        EXPORTS[loaded.contract.task].answers(loaded),
        loaded.labels,
        pictures,
        shrink=loaded.shrink,
        tell=tell,
    )
