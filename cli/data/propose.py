"""`tombola data propose`: boxes that may hold an object, for Fast R-CNN; searched once, kept in a file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli import completion
from tombola.cli.table import table, terminal_columns
from tombola.terminal_line import TerminalLine

if TYPE_CHECKING:
    from collections.abc import Callable

RECALL_IOUS = (0.5, 0.7)


def data_propose(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="A detector's recipe; or, with --out, a folder or plain .tar of pictures."
        ),
    ],
    split: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="S",
            help="Of a recipe: train, valid or test.",
            show_default="all it names",
            autocompletion=completion.splits,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The file for the proposals.", show_default="the recipe's"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, metavar="N", help="Processes.", show_default="one a core"),
    ] = None,
) -> None:
    """Search pictures for boxes that may hold an object.

    Selective search: at most 2,000 a picture, about a second each. Of a recipe it writes one file a split,
    where training and `evaluate` look for it (data.proposals), and prints which share of the objects some
    proposal covers at IoU 0.5 and 0.7, beside that of a sliding window. A stopped search goes on.

    \b
    Example:
      tombola data propose recipe.toml
      tombola data propose photos --out proposals.npz
    """
    count = workers or os.cpu_count() or 1
    if data.suffix.lower() != ".toml":
        if out is None or split:
            raise typer.BadParameter("pictures without a recipe need --out FILE, and have no --split.")
        _of_pictures(data, out, count)
        return
    if out is not None:
        raise typer.BadParameter("--out is for pictures without a recipe; a recipe names its folder.")
    if wrong := set(split or ()) - set(completion.SPLITS):
        raise typer.BadParameter(f"--split {wrong.pop()!r} is not one of {', '.join(completion.SPLITS)}.")
    _of_recipe(data, split, count)


def _of_pictures(place: Path, out: Path, workers: int) -> None:
    from tombola.train.data.pictures.pictures import open_pictures
    from tombola.train.regions.propose import propose

    pictures = open_pictures(place)
    found = propose(pictures, list(pictures.names()), out, workers=workers, tell=_teller(place.name))
    typer.echo(f"{out}: {sum(map(len, found.values())):,} proposals in {len(found):,} pictures")


def _of_recipe(path: Path, splits: list[str] | None, workers: int) -> None:
    from tombola.errors import RecipeError
    from tombola.train.regions.propose import propose
    from tombola.train.regions.recall import proposal_recall, window_recall
    from tombola.train.tasks.detect.task import load_labelled, proposals_path, truths
    from tombola.train.tasks.table import load_recipe

    recipe = load_recipe(path)
    if recipe.task != "detect":
        raise RecipeError(f"{path} is for {recipe.task}; proposals are for detectors")
    rows = []
    for split in splits or [one for one in completion.SPLITS if getattr(recipe.data, one)]:
        data, file = load_labelled(recipe, split), proposals_path(recipe, split)
        names = [record.file_name for record in data.records]
        found = propose(data.pictures, names, file, workers=workers, tell=_teller(split))
        boxes, wanted = [found[name] for name in names], truths(data)
        searched = [proposal_recall(boxes, wanted, iou) for iou in RECALL_IOUS]
        slid, windows = window_recall(data, RECALL_IOUS)
        for what, mean, recalls in (
            ("selective search", sum(map(len, boxes)) / len(boxes), searched),
            ("sliding window", windows, slid),
        ):
            rows.append(
                (split, what, f"{len(data)}", f"{mean:.0f}", *(f"{100 * one:.1f}" for one in recalls))
            )
        typer.echo(f"{split}: {file}")
    head = ("split", "boxes by", "pictures", "a picture", *(f"recall % at IoU {iou}" for iou in RECALL_IOUS))
    typer.echo("\n".join(["", *table(head, rows, "<<>>>>", columns=terminal_columns())]))


def _teller(what: str) -> "Callable[[int, int], None]":
    line = TerminalLine(every_s=0.5, in_a_log_s=30.0)

    def tell(done: int, total: int) -> None:
        if done < total:
            line.show(f"{what}: picture {done} of {total}")
        else:
            line.clear()

    return tell
