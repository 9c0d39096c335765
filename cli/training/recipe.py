"""`tombola recipe`: what a recipe may say."""

from typing import Annotated

import typer


def recipe(
    show: Annotated[
        str,
        typer.Option(
            "--show", metavar="TASK", help="Print every key of this task's recipe.", show_default=False
        ),
    ],
) -> None:
    """Print every key that a recipe may have.

    Each with its meaning, default and range. It has the form of a recipe, which itself needs the few keys
    that are said to be needed and those that differ from their defaults.

    \b
    Example:
      tombola recipe --show detect
    """
    from tombola.train.init.reference import reference

    typer.echo(reference(show), nl=False)
