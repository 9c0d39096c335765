"""How good the models of a bench are, beside how fast."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tombola.cli.evaluate.evaluation import model_task, picture_count
from tombola.cli.table import counted, table
from tombola.cli.tasks import TASKS

if TYPE_CHECKING:
    from tombola.runtime.session.bench import BenchResult
    from tombola.train.evaluate import Named, Scores


def common_task(models: Sequence[Path]) -> str:
    """The task of all the models; a mistake in the command line where they have none in common."""
    first, *others = [(model, model_task(model)) for model in models]
    for model, task in others:
        if task != first[1]:
            raise typer.BadParameter(
                f"{first[0]} is a {TASKS[first[1]].noun}, {model} a {TASKS[task].noun}; score one task's."
            )
    return first[1]


def score_models(
    models: Sequence[Path], pictures: "Named", device: str, threads: int | None
) -> "list[Scores]":
    """The scores of each model on the same labelled pictures."""
    from tombola.export.scoring import score_file

    return [
        score_file(model, pictures, device=device, threads=threads, tell=picture_count()) for model in models
    ]


def score_lines(
    models: Sequence[Path], task: str, scores: "Sequence[Scores]", columns: int | None
) -> list[str]:
    """A row a model: its score, and how far it is from the first one's, with the interval of that."""
    from tombola.train.evaluate import difference_interval
    from tombola.train.tasks.table import TASKS as TRAIN_TASKS

    score = TRAIN_TASKS[task].score
    rows = []
    for model, one in zip(models, scores, strict=True):
        difference = ""
        if one is not scores[0]:
            found = difference_interval(one, scores[0])
            apart, low, high = map(score.number, (one.main - scores[0].main, found.low, found.high))
            difference = f"{apart:+.2f} ({low:+.2f} … {high:+.2f})"
        rows.append((str(model), score.digits(one.main), difference))
    name = f"{score.name} {score.told_unit}".rstrip()
    return [
        f"on {counted(scores[0].pictures, 'labelled picture')}; in brackets 95 % of the difference",
        *table(("model", name, "difference"), rows, "<>>", columns=columns),
    ]


def score_json(task: str, one: "Scores", base: "Scores") -> dict[str, Any]:
    """The same of one model: shares of 0..1, the difference from `base` and its interval."""
    from tombola.train.evaluate import difference_interval
    from tombola.train.tasks.table import TASKS as TRAIN_TASKS

    found = difference_interval(one, base)
    return {
        "score": {
            "name": TRAIN_TASKS[task].score.name,
            "value": one.main,
            "difference": one.main - base.main,
            "interval": [found.low, found.high],
            "pictures": one.pictures,
        }
    }


def draw(path: Path, task: str, results: "Sequence[BenchResult]", scores: "Sequence[Scores]") -> None:
    """Write the picture of scores against milliseconds."""
    from tombola.train.drawing.trade_off import draw_trade_off
    from tombola.train.run.folder import write_atomic
    from tombola.train.tasks.table import TASKS as TRAIN_TASKS

    points = [
        (result.path.name.partition(".onnx")[0], result.latency_p50_ms, one.main)
        for result, one in zip(results, scores, strict=True)
    ]
    write_atomic(path, draw_trade_off(points, TRAIN_TASKS[task].score))
