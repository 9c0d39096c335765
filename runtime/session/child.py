"""Python code in a process of its own, whose crash is not ours."""

import signal
import subprocess
import sys

from tombola.errors import ModelError, TombolaError

# Ours are handed over by name on the last line of stderr.
PROLOGUE = """
import sys
from tombola.errors import TombolaError
def told(_, error, trace):
    if isinstance(error, TombolaError):
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(_, error, trace)
sys.excepthook = told
"""


def run_child(code: str, *arguments: str, name: str, seconds: float | None = None) -> str:
    """What `code` prints, run in a fresh Python that imports nothing from the current folder.

    name: what it works on, for messages; seconds: how long it may take, None is no limit.
    Raises the TombolaError that the code raises; ModelError where it fails otherwise, crashes or is too slow.
    """
    try:
        done = subprocess.run(
            child_command(code, *arguments), capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{name}: took longer than {seconds:g} s and was stopped.") from None
    if done.returncode != 0:
        raise failure(name, done.returncode, done.stderr)
    return done.stdout


def child_command(code: str, *arguments: str) -> list[str]:
    """The command of a fresh Python that runs `code`, which is ours; no shell reads the arguments."""
    return [sys.executable, "-P", "-c", PROLOGUE + code, *arguments]


def failure(name: str, exit_code: int, stderr: str) -> TombolaError:
    """Why a child ended with another code than 0: its own error where it told one of ours."""
    last = (stderr.strip().splitlines() or ["no message"])[-1]
    kind, _, message = last.partition(": ")
    for ours in TombolaError.__subclasses__():
        if ours.__name__ == kind:
            return ours(message)
    if exit_code < 0:
        ended = signal.Signals(-exit_code).name
        return ModelError(f"{name}: crashed the process that ran it ({ended}); do not run it in your own.")
    return ModelError(f"{name}: the process that ran it failed: {last}")
