"""The console scripts: `tombola`, and `detect` as a short name for `tombola detect`."""

import os
import sys
from io import TextIOWrapper

from tombola.cli.ask.opening import open_early


def run() -> None:
    """The console script `tombola`."""
    _prepare()
    if len(sys.argv) > 1:
        open_early(sys.argv[1], sys.argv[2:])
    from tombola.cli.app import app

    app(prog_name="tombola")


def run_detect() -> None:
    """The console script `detect`."""
    _prepare()
    open_early("detect", sys.argv[1:])
    from tombola.cli.app import detect_app

    detect_app(prog_name="detect")


def _prepare() -> None:
    # A Python that is started from here, a worker for instance, would import from the current folder first.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    # A file name or label that the terminal's encoding lacks must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
