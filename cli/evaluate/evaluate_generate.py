"""`tombola evaluate` of a generator: the bound that it learnt by, and its pictures in a classifier's eyes."""

from typing import TYPE_CHECKING, Any

import typer

from tombola.cli.evaluate.evaluation import Evaluated, picture_count
from tombola.cli.shipped import model_or_shipped
from tombola.cli.table import counted, table, terminal_columns
from tombola.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tombola.export.judging import Judged
    from tombola.train.evaluate import MakePictures

# Nearly all real pictures lie outside of what is made: a few kinds are made again and again.
COLLAPSED_RECALL = 0.1


def report_generator(asked: Evaluated) -> str:
    """The figures of the run folder or file that is asked for, as text or JSON."""
    from dataclasses import asdict
    from json import dumps

    from tombola.export.judging import Judge, judge_pictures
    from tombola.train.evaluate import evaluate_generator

    if asked.labels is not None and asked.pictures is None:
        raise typer.BadParameter("--labels are of pictures; give --pictures too.")
    bounds: dict[str, float] = {}
    of_recipe = asked.path.is_dir() and asked.pictures is None
    if asked.likelihood is not None and not of_recipe:
        raise typer.BadParameter(
            "--likelihood is of a run, on its own pictures; name one without --pictures."
        )
    asked.use_threads()
    if of_recipe:
        bounds = evaluate_generator(
            asked.path,
            asked.split or "test",
            folds=asked.folds,
            weights=asked.weights,
            samples=asked.likelihood,
            device=asked.device.value,
            tell=picture_count(),
        )
    path = model_or_shipped(asked.judge, "classify")
    judge = Judge(path)
    make, labels = _maker(asked)
    judged: list[Judged] = []
    if not labels or labels == judge.labels:
        judged = judge_pictures(judge, _real(asked, judge.labels), make, tell=picture_count())
    elif asked.judge is not None or not bounds:
        raise DataError(
            f"{asked.path} makes {', '.join(labels)}, and {path} tells {', '.join(judge.labels)} apart; name "
            "a classifier of the same classes by --judge"
        )
    if asked.json:
        return dumps({**bounds, "judged": [asdict(one) for one in judged]})
    return "\n".join(
        [*_judged_lines(judged, path.name), *(f"{name}  {value:.4f}" for name, value in bounds.items())]
    )


def _judged_lines(judged: "list[Judged]", judge: str) -> list[str]:
    if not judged:
        return []
    columns = ("pictures", "Fréchet", "precision", "recall", "right class")
    collapsed = judged[0].recall < COLLAPSED_RECALL
    return [
        *table(columns, [_row(one) for one in judged], "<>>>>", columns=terminal_columns()),
        "",
        f"{counted(judged[0].pictures, 'picture')} of each against as many real ones, by the features of",
        f"{judge}; this is no FID, which has those of Inception",
        *(["hardly a kind of real pictures is made: the generator has collapsed"] if collapsed else []),
    ]


def _real(asked: Evaluated, classes: tuple[str, ...]) -> Any:
    from tombola.train.evaluate import Named, open_set
    from tombola.train.tasks.classify.task import load_split
    from tombola.train.tasks.table import load_recipe

    source = asked.source("--pictures, and --labels if they are in a file of their own")
    if isinstance(source, Named):
        return open_set("classify", source, classes)
    return load_split(load_recipe(source.run / "recipe.toml"), source.name, classes).fold(source.folds)


def _maker(asked: Evaluated) -> "tuple[MakePictures, tuple[str, ...]]":
    """What makes pictures, and the names of their classes."""
    if asked.path.is_dir():
        from tombola.train.evaluate import generator_of_run

        return generator_of_run(asked.path, asked.weights)
    from tombola.runtime.load import load

    model = load(asked.path, asked.device.value, asked.threads, task="generate")
    return _made_by(model), model.labels


def _made_by(model: Any) -> "Callable[[int], Any]":
    def make(count: int) -> Any:
        import numpy as np

        made = model.sample(count)
        named = made.names and np.array([model.labels.index(name) for name in made.names])
        return made.images_u8, named

    return make


def _row(one: "Judged") -> tuple[str, ...]:
    right = "–" if one.right_class is None else f"{100 * one.right_class:.1f} %"
    return one.origin, f"{one.frechet:.3f}", f"{one.precision:.3f}", f"{one.recall:.3f}", right
