"""`tombola data show`: what a recipe trains on, to be looked at."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.folder import make_folder
from tombola.cli.options import RecipeArgument, SetOption
from tombola.cli.recipe_path import find_recipe


def data_show(
    recipe: RecipeArgument,
    save: Annotated[
        Path,
        typer.Option("--save", "-s", metavar="DIR", help="The folder for the two sheets."),
    ] = Path("shown"),
    pictures: Annotated[
        int, typer.Option("--pictures", min=1, max=400, metavar="N", help="Training pictures on a sheet.")
    ] = 24,
    changes: SetOption = None,
) -> None:
    """Draw contact sheets of the training pictures of a recipe.

    labelled.png has pictures with their labels as they are written down, augmented.png the same pictures in
    the same order as the network gets them: cut, scaled and changed at random.

    \b
    Example:
      tombola data show recipe.toml --save shown
    """
    from tombola.train.drawing.contact_sheet import contact_sheet
    from tombola.train.run.folder import write_atomic
    from tombola.train.tasks.table import open_task
    from tombola.train.tasks.task import ShownTask

    task = open_task(find_recipe(recipe), changes or ())
    if not isinstance(task, ShownTask):
        raise typer.BadParameter("the pictures of this task cannot be shown.")
    make_folder(save, "--save")
    for name, tiles in zip(("labelled.png", "augmented.png"), task.shown(pictures), strict=True):
        write_atomic(save / name, contact_sheet(tiles, across=6))
        typer.echo(str(save / name))
