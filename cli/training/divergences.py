"""python -m tombola.cli.training.divergences: contrastive divergence against persistent chains."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.folder import make_folder
from tombola.cli.options import RecipeArgument, SetOption
from tombola.cli.polite import run_politely
from tombola.cli.recipe_path import find_recipe


def divergences(
    recipe: RecipeArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of each training.")] = 3000,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each contender.")] = 3,
    changes: SetOption = None,
) -> None:
    """CD-1, CD-k and persistent chains on a small Boltzmann machine, whose ln Z is a sum.

    RECIPE is a generator's of the kind "rbm"; its pictures and learning rate are taken, not its hidden units.
    Writes divergences.csv and divergences.png into DIR, and prints a table.
    """
    from tombola.train.studies.divergences import run_study

    make_folder(out, "--out")
    for line in run_study(find_recipe(recipe), changes or (), out, steps=steps, seeds=seeds):
        typer.echo(line)


if __name__ == "__main__":
    run_politely(divergences)
