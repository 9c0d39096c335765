"""`tombola init`: a folder of labelled pictures becomes a first recipe."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tombola.train.init.first_recipe import FirstRecipe


def init(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Your pictures and their labels: a folder a class; YOLO (data.yaml, or images/ and "
            "labels/); VOC; COCO; an export with a folder a set.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The recipe.", show_default="FOLDER's name.toml"),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start from fresh weights, for pictures that are nothing like photos."),
    ] = False,
) -> None:
    """Write a recipe for your own labelled pictures.

    Looks at the folder, for task, classes, sets and sizes, and changes nothing in it. Where a set is
    missing, a part of another is kept for it. The recipe is commented, made to be read and changed.

    \b
    Example:
      tombola init photos
    """
    from tombola.train.init.first_recipe import first_recipe

    typer.echo("\n".join(_told(first_recipe(folder, out, fresh=fresh))))


def _told(first: "FirstRecipe") -> list[str]:
    found, path = first.found, quote(str(first.path))
    sets = [f"{split} {sum(one.n_pictures for one in own)}" for split, own in found.sets.items()]
    n_classes = len(found.n_by_class)
    what = f"{found.format_name}, {n_classes} class{'' if n_classes == 1 else 'es'}"
    lines = [f"{first.path}: to {found.task} ({what}; pictures: {', '.join(sets)})"]
    weights = first.recipe.start.weights
    if weights is not None and not weights.exists():
        lines.append(f"Once: tombola data get {weights.stem}")
    return [*lines, f"Next: tombola data check {path}", f"then: tombola train {path}"]
