"""How a command fails: a line on stderr and an exit code, never a traceback.

Exit codes: 0 all done, 1 something could not be done, 2 the command line is wrong, 130 Ctrl-C.
TOMBOLA_DEBUG=1 in the environment lets the traceback through.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tombola.cli.missing_library import missing_library
from tombola.cli.table import one_line
from tombola.errors import OutputError, TombolaError

# What `pip install tombola` leaves out, by the name that is imported.
TRAIN_MODULES = frozenset(
    {
        "torch",
        "lightning",
        "lightning_fabric",
        "safetensors",
        "pydantic",
        "matplotlib",
        "onnx",
        "onnxscript",
        "tomli_w",
    }
)

_FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO})


def complain(what: object) -> None:
    """Print `error: what` on stderr; further lines of a long message stand indented below it."""
    lines = [one_line(line) for line in str(what).splitlines() if line.strip()]
    typer.echo("error: " + "\n  ".join(lines), err=True)


def need_stdout() -> None:
    """OutputError where stdout is closed. A closed stderr becomes one that goes nowhere.

    What else is opened would take the free number, and lines meant for people would end in that file.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - it stays open to the end
    if sys.stdout is None:
        raise OutputError("stdout is closed, so no answer can be told; send it to a file or to /dev/null.")


@contextmanager
def polite_errors() -> Iterator[None]:
    """Turn expected errors, a closed stdout among them, into a line on stderr and exit code 1."""
    try:
        need_stdout()
        yield
        if sys.stdout is not None:
            sys.stdout.flush()  # here, so that a closed pipe shows where it is still handled
    except (TombolaError, ImportError, OSError) as error:
        message = _expected(error)
        if message is None or os.environ.get("TOMBOLA_DEBUG"):
            raise
        complain(message)
        raise SystemExit(1) from None


def _expected(error: Exception) -> str | None:
    """The line for an error that its user can cure; None for a closed pipe and for our own mistakes."""
    if isinstance(error, TombolaError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").split(".")[0]
        if missing in TRAIN_MODULES:
            return f"this command needs {missing}, which is not installed: pip install 'tombola[train]'"
        return None
    if lacking := missing_library(error):
        return (
            f"OpenCV needs {lacking[0]}, which this machine lacks: apt install {lacking[1]}, "
            "or install opencv-python-headless instead of opencv-python"
        )
    if isinstance(error, OSError) and error.errno in _FULL and not error.filename:
        # Of files that are written the name is known.
        return f"stdout takes no more ({error.strerror}); send it where there is room"
    if isinstance(error, OSError) and error.errno not in (None, errno.EPIPE):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return None


class PoliteGroup(TyperGroup):
    """A group of commands that fail politely, in their help too."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with polite_errors():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with polite_errors():
            return super().invoke(ctx)


class PoliteCommand(TyperCommand):
    """A command that stands alone and fails politely, in its help too."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with polite_errors():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with polite_errors():
            return super().invoke(ctx)


def run_politely(command: Callable[..., None]) -> None:
    """Run a command that has no name of its own, as `python -m` of its module does."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command(cls=PoliteCommand)(command)
    alone()
