"""`tombola evaluate` of a generator: the bound that it learnt by, on pictures that it has not seen."""

import typer

from tombola.cli.evaluate.evaluation import Evaluated, picture_count
from tombola.errors import DataError


def report_generator(asked: Evaluated) -> str:
    """The figures of the run folder that is asked for, as text or JSON."""
    from json import dumps

    from tombola.train.evaluate import evaluate_generator

    others = (asked.score, asked.pr_curve, asked.predictions, asked.confusions, asked.against)
    if any(other is not None for other in others) or asked.interval:
        raise typer.BadParameter(
            "--score, --pr-curve, --predictions, --confusions, --against and --interval are for tasks with "
            "right answers; this is a generator."
        )
    if not asked.path.is_dir() or asked.pictures is not None:
        raise DataError(f"{asked.path}: a generator is scored as a run folder, on pictures of its recipe")
    figures = evaluate_generator(
        asked.path, asked.split, weights=asked.weights, device=asked.device.value, tell=picture_count()
    )
    if not figures:
        raise DataError(f"the recipe of {asked.path} has no data.{asked.split}; name another --split")
    if asked.json:
        return dumps(figures)
    return "\n".join(f"{name}  {value:.4f}" for name, value in figures.items())
