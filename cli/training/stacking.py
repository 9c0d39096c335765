"""python -m tombola.cli.training.stacking: what layers learn from pictures alone, worth how many labels?"""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.folder import make_folder
from tombola.cli.options import RecipeArgument, SetOption
from tombola.cli.polite import run_politely
from tombola.cli.recipe_path import find_recipe


def stacking(
    recipe: RecipeArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")] = Path(
        "runs/stacking"
    ),
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each network.")] = 3,
    changes: SetOption = None,
) -> None:
    """Autoencoders stacked layer by layer, fine-tuned as a classifier on 100, 500 and 2,000 labels, beside
    the same network with fresh weights.

    RECIPE is a generator's; its pictures and labels are taken. Writes stacking.csv, report.md and the stacked
    layers into DIR, and prints the table.
    """
    from tombola.train.studies.stacking import run_study

    make_folder(out, "--out")
    for line in run_study(find_recipe(recipe), changes or (), out, seeds=seeds):
        typer.echo(line)


if __name__ == "__main__":
    run_politely(stacking)
