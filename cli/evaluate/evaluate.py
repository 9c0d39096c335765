"""`tombola evaluate`: how good a run or a model file is on labelled pictures."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli import completion
from tombola.cli.data.check import FormatOption
from tombola.cli.evaluate.evaluation import Evaluated, model_task
from tombola.cli.options import (
    AnnotationsOption,
    AnswerOption,
    Device,
    DeviceOption,
    FoldsOption,
    JsonOption,
    PicturesOption,
    ThreadsOption,
    option_name,
)
from tombola.cli.tasks import TASKS, fetch

SPLITS = ("train", "valid", "test")


def evaluate(
    model: Annotated[
        Path,
        typer.Argument(metavar="RUN_OR_MODEL", help="A run folder or an .onnx file.", show_default=False),
    ],
    annotations: AnnotationsOption = None,
    pictures: PicturesOption = None,
    folds: FoldsOption = None,
    format_: FormatOption = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="S",
            help="For a run: train, valid or test of its recipe; of captions, what their file calls so.",
            show_default="test",
            autocompletion=completion.splits,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", metavar="W", help="For a run: best, last, initial or early-K.", show_default="best"
        ),
    ] = None,
    changes: AnswerOption = None,
    interval: Annotated[
        bool,
        typer.Option("--interval", help="Tell between what the score would lie with other such pictures."),
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="M",
            help="Score this run or file on the same pictures; tell the difference and how sure it is.",
        ),
    ] = None,
    score: Annotated[
        float | None,
        typer.Option(
            "--score",
            min=0.0,
            max=1.0,
            metavar="S",
            help="Of a detector: precision, recall and F1 are told for this score.",
            show_default="that of the best F1",
        ),
    ] = None,
    pr_curve: Annotated[
        Path | None,
        typer.Option(
            "--pr-curve", metavar="PNG", help="Of a detector: draw precision against recall to this file."
        ),
    ] = None,
    confusions: Annotated[
        Path | None,
        typer.Option("--confusions", metavar="PNG", help="Draw what is taken for what to this file."),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions",
            metavar="JSON",
            help="Of a detector: write every box it finds, as COCO's tools read results.",
        ),
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(
            "--judge",
            metavar="FILE",
            help="Of a generator: the classifier in whose features pictures are compared.",
            show_default="the one that ships",
        ),
    ] = None,
    proposals: Annotated[
        Path | None,
        typer.Option(
            "--proposals",
            metavar="FILE",
            help="Of a Fast R-CNN, with --pictures: their proposals, as `data propose --out` writes them.",
            show_default=False,
        ),
    ] = None,
    likelihood: Annotated[
        int | None,
        typer.Option(
            "--likelihood",
            min=1,
            metavar="K",
            help="Of a run: estimate log p(x), of a vae by K importance samples of each picture, of a "
            "Boltzmann machine by annealing over K temperatures.",
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Score a run or a model file on labelled pictures.

    Of a detector, prints VOC07 and COCO mean average precision; of a classifier, accuracy and mean F1; and a
    table by class; of a generator, how near its pictures are to real ones. A run is scored on the test
    pictures of its recipe unless others are named; a model file runs as it will on the device. An interval
    is the middle 95 % of what 1,000 sets of as many pictures, drawn from these, give (bootstrap); that of a
    difference is of the same pictures for both.

    \b
    Example:
      tombola evaluate runs/first --interval --against runs/second
      tombola evaluate detector.onnx --annotations annotations.json --pictures photos --pr-curve curve.png
      tombola evaluate classifier.onnx --pictures photos-by-class
    """
    asked = Evaluated(
        path=model,
        labels=annotations,
        pictures=pictures,
        format_name=format_,
        folds=folds or (),
        split=split,
        weights=weights or "best",
        changes=changes or (),
        device=device,
        threads=threads,
        interval=interval,
        against=against,
        score=score,
        pr_curve=pr_curve,
        confusions=confusions,
        predictions=predictions,
        judge=judge,
        proposals=proposals,
        likelihood=likelihood,
        json=json,
    )
    if not model.is_dir() and (weights or changes):
        raise typer.BadParameter("--weights and --set are for run folders; a model file has none.")
    for option, value in (("--format", format_), ("--proposals", proposals)):
        if value is not None and pictures is None:
            raise typer.BadParameter(f"{option} is of --pictures; name them too.")
    task = model_task(model)
    _check_meaning(asked, task)
    if split is not None and not (task == "caption" and pictures):
        _check_split(split, of_run=model.is_dir() and pictures is None)
    if against is not None and (other := model_task(against)) != task:
        raise typer.BadParameter(
            f"{model} is a {TASKS[task].noun}, {against} a {TASKS[other].noun}; compare two of one task."
        )
    typer.echo(fetch(TASKS[task].evaluate)(asked))


def _check_meaning(asked: Evaluated, task: str) -> None:
    """BadParameter for an option that models of the task have no use for."""
    of_some = {name for one in TASKS.values() for name in one.judged}
    for name in sorted(of_some.difference(TASKS[task].judged)):
        value = getattr(asked, name)
        if value is not None and value is not False and value != ():
            raise typer.BadParameter(
                f"{option_name(name)} has no meaning for a {TASKS[task].noun}; leave it out."
            )


def _check_split(split: str, *, of_run: bool) -> None:
    if not of_run:
        raise typer.BadParameter(
            "--split is of the pictures of a run folder, or of named captions; --pictures are others."
        )
    if split not in SPLITS:
        raise typer.BadParameter(f"--split {split!r} is not one of {', '.join(SPLITS)}.")
