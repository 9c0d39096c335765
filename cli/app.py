"""The commands: `tombola` and all that it knows, and `detect` as a short name for `tombola detect`."""

from typing import Annotated

import typer

import tombola
from tombola.cli.ask import detect
from tombola.cli.commands import CommandGroup
from tombola.cli.polite import PoliteCommand

HELP_NAMES = {"help_option_names": ["-h", "--help"]}

# Plain help: it needs no rich, fits any width, and can be piped and searched.
app = typer.Typer(
    name="tombola",
    cls=CommandGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=HELP_NAMES,
)
detect_app = typer.Typer(
    name="detect", rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=True
)
detect_app.command(cls=PoliteCommand, context_settings=HELP_NAMES)(detect.detect)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tombola {tombola.__version__}")
        raise typer.Exit


@app.callback()
def tombola_command(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Train a vision model, shrink it, and ship it as one .onnx file: picture in, answer out.

    \b
    Example:
      tombola detect photo.jpg --save out
    """
