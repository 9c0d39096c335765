"""The console scripts: `tombola`, and `detect` as a short name for `tombola detect`."""

import os
import sys
from io import TextIOWrapper
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


def run() -> None:
    """The console script `tombola`."""
    _only_installed_code()
    _any_text_prints()
    app(prog_name="tombola")


def run_detect() -> None:
    """The console script `detect`."""
    _only_installed_code()
    _any_text_prints()
    detect_app(prog_name="detect")


def _only_installed_code() -> None:
    # A Python that is started from here, a worker for instance, would import from the current folder first.
    os.environ.setdefault("PYTHONSAFEPATH", "1")


def _any_text_prints() -> None:
    # A file name or label that the terminal's encoding lacks must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
