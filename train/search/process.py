"""One point of a search as a process of its own: `tombola train` with the point's values."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tombola.train.metrics.score import Score
from tombola.train.run.folder import RunFolder
from tombola.train.search.outcome import Outcome, keep, measured
from tombola.train.search.point import Point

RECIPE = "recipe.toml"
LOG = "log.txt"


def command(point: Point, folder: Path, device: str) -> list[str]:
    """The command line that trains `point`, or goes on with it."""
    run = folder / point.name
    changes = [part for override in point.overrides for part in ("--set", override)]
    resume = ["--resume"] if RunFolder(run).has_checkpoint else []
    train = [sys.executable, "-P", "-m", "tombola.cli", "train", str(folder / RECIPE), "--out", str(run)]
    return [*train, *changes, "--device", device, *resume]


class PointProcess:
    """A running point. What it prints goes to log.txt in its run folder, which lies in `folder`."""

    def __init__(self, point: Point, folder: Path, *, device: str, threads: int, score: Score) -> None:
        self.point, self.run, self.score = point, folder / point.name, score
        self.run.mkdir(parents=True, exist_ok=True)
        with (self.run / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                command(point, folder, device),
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at the terminal reaches the search alone, which then stops each point once.
                start_new_session=True,
            )

    def poll(self) -> Outcome | None:
        """What became of it, kept in the run folder; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        outcome = (
            measured(self.point, "done", self.run, self.score)
            if code == 0
            else Outcome(self.point, "failed", reason=self._reason(code))
        )
        keep(outcome, self.run)
        return outcome

    def stop(self) -> None:
        """Ask it to save its state and end."""
        if self._process.poll() is None:
            self._process.terminate()

    def wait(self) -> None:
        self._process.wait()

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()

    def _reason(self, code: int) -> str:
        log = (self.run / LOG).read_text(encoding="utf-8", errors="replace")
        _, error, message = log.rpartition("\nerror: " if "\nerror: " in log else "error: ")
        if error:
            return " ".join(message.split())
        ended = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{ended}; see {self.run / LOG}"
