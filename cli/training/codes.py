"""python -m tombola.cli.training.codes: what a code of few numbers keeps of a picture."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.folder import make_folder
from tombola.cli.options import RecipeArgument, SetOption
from tombola.cli.polite import run_politely
from tombola.cli.recipe_path import find_recipe


def codes(
    recipe: RecipeArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")] = Path(
        "runs/codes"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the weights and the batches.")] = 0,
    changes: SetOption = None,
) -> None:
    """The plane of two latents of an autoencoder beside that of a vae; and decibels by bytes of autoencoders
    beside principal components.

    RECIPE is a generator's; its pictures are taken. Writes codes.csv, planes.png and report.md into DIR, and
    prints the table.
    """
    from tombola.train.studies.codes import run_study

    make_folder(out, "--out")
    for line in run_study(find_recipe(recipe), changes or (), out, seed=seed):
        typer.echo(line)


if __name__ == "__main__":
    run_politely(codes)
