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
    command = [sys.executable, "-P", "-c", PROLOGUE + code, *arguments]
    try:
        # The code is ours, and no shell reads the arguments.
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ModelError(f"{name}: took longer than {seconds:g} s and was stopped.") from None
    if done.returncode == 0:
        return done.stdout
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    kind, _, message = last.partition(": ")
    for ours in TombolaError.__subclasses__():
        if ours.__name__ == kind:
            raise ours(message)
    if done.returncode < 0:
        ended = signal.Signals(-done.returncode).name
        raise ModelError(f"{name}: crashed the process that ran it ({ended}); do not run it in your own.")
    raise ModelError(f"{name}: the process that ran it failed: {last}")
