"""A model file that is measured, and the process of its own in which it is."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from tombola.runtime.load import check_model, read_model
from tombola.runtime.session.child import child_command, failure
from tombola.runtime.session.macs import count_macs
from tombola.runtime.session.memory import own_peak_mib
from tombola.runtime.session.profile import outside_share
from tombola.runtime.tasks.difference import Arrays

WARM_UP_CALLS = 3

CHILD = """
from tombola.runtime.session.contestant import serve
serve(*sys.argv[1:])
"""


class Measured:
    """A model file and one question to it, measured in this process."""

    def __init__(self, path: Path, feeds: Arrays, device: str, threads: int | None) -> None:
        self._path, self._feeds = path, feeds
        self._model = check_model(path).open(device, threads)
        self._model.answer(feeds)
        self.start = {
            "device": self._model.device,
            "threads": self._model.threads,
            "peak_memory_mib": own_peak_mib(),
        }
        for _ in range(WARM_UP_CALLS - 1):
            self._model.answer(feeds)

    def time(self, calls: int) -> list[float]:
        """Milliseconds of so many answers, after one that brings the weights back into the cache."""
        self._model.answer(self._feeds)
        latencies_ms = []
        for _ in range(calls):
            started = perf_counter()
            self._model.answer(self._feeds)
            latencies_ms.append(1e3 * (perf_counter() - started))
        return latencies_ms

    def share_outside(self) -> float:
        """The share of the time, 0..1, that is spent before and after the network."""
        feeds = self._model.prepared(self._feeds)
        return outside_share(self._path, feeds, self._model.device, self._model.threads)

    def macs(self) -> int:
        """Multiply-accumulates of the network for one answer."""
        _, content = read_model(self._path)
        return count_macs(content, self._model.prepared(self._feeds), self._model.threads)

    def close(self) -> None:
        """Nothing is left behind."""


class Contestant:
    """The same in a process of its own, so that no other model's memory and threads are in its way.

    Raises ModelError and DeviceError as `load` does, and where the process ends. To be closed.
    """

    def __init__(self, path: Path, feeds: Arrays, device: str, threads: int | None) -> None:
        self._path = path
        self._folder = tempfile.TemporaryDirectory()
        question = Path(self._folder.name) / "question.npz"
        np.savez(question, **feeds)  # type: ignore[arg-type]
        self._stderr = (Path(self._folder.name) / "stderr").open("w+")
        command = child_command(CHILD, str(path), str(question), device, str(threads or 0))
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True
        )

    @property
    def start(self) -> dict[str, Any]:
        """device, threads, and peak_memory_mib after the first answer."""
        return dict(self._ask("start"))

    def time(self, calls: int) -> list[float]:
        """As that of `Measured`, and so is what follows."""
        return list(self._ask("time", calls))

    def share_outside(self) -> float:
        return float(self._ask("share_outside"))

    def macs(self) -> int:
        return int(self._ask("macs"))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._stderr.close()
        self._folder.cleanup()

    def _ask(self, what: str, *values: int) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([what, *values]) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended, and told why
        told = self._process.stdout.readline()
        if not told:
            exit_code = self._process.wait()
            self._stderr.seek(0)
            raise failure(str(self._path), exit_code, self._stderr.read())
        return json.loads(told)


def serve(path: str, question: str, device: str, threads: str) -> None:
    """Answer what a Contestant asks, a line each, until it asks no more."""
    with np.load(question) as stored:
        measured = Measured(Path(path), dict(stored), device, int(threads) or None)
    for line in sys.stdin:
        what, *values = json.loads(line)
        asked = getattr(measured, what)
        print(json.dumps(asked(*values) if callable(asked) else asked), flush=True)
