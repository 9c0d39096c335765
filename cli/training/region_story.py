"""python -m tombola.cli.training.region_story: from the sliding window to Faster R-CNN, in a table."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.folder import make_folder
from tombola.cli.options import RecipeArgument, SetOption
from tombola.cli.polite import run_politely
from tombola.cli.recipe_path import find_recipe


def region_story(
    recipe: RecipeArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Its parts; a stopped story goes on.")],
    most: Annotated[int, typer.Option("--most", min=1, help="Proposals of a picture at most.")] = 2000,
    changes: SetOption = None,
) -> None:
    """Train all four on data.train of a detector's recipe, score them on its data.test, print a Markdown
    table. Seconds are those of one core."""
    from tombola.train.region_story import tell_story

    make_folder(out, "--out")
    typer.echo("\n".join(tell_story(find_recipe(recipe), out, changes or (), most=most)))


if __name__ == "__main__":
    run_politely(region_story)
