"""A part of a study at work: in a process of this machine, or in one of a Ray cluster."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tombola.errors import TombolaError
from tombola.train.loop.loop import Interrupted
from tombola.train.studies.part import Part

LOOK_SECONDS = 0.2


class PartProcess:
    """A part in a process of this machine, of one thread."""

    def __init__(self, part: Part) -> None:
        self.part = part
        # Spawned: a fork would have the parent's threads half.
        self._process = multiprocessing.get_context("spawn").Process(target=_work, args=(part,))
        self._process.start()

    def ended(self) -> str | None:
        """None while it is at work, then "" or what went wrong."""
        if self._process.is_alive():
            return None
        code = self._process.exitcode
        return f"with exit code {code}, what it printed says why" if code else ""

    def stop(self) -> None:
        """Ask it to save its state and end."""
        self._process.terminate()

    def wait(self) -> None:
        self._process.join()


class PartOnRay:
    """A part on one core of a Ray cluster, wherever that has one."""

    def __init__(self, part: Part, ray: Any) -> None:
        self.part, self._ray = part, ray
        # What stopped has kept its state; it is the study that goes on with it, when it is given again.
        self._result = ray.remote(num_cpus=1, max_retries=0)(_attend).remote(part, str(Path.cwd()))

    def ended(self) -> str | None:
        """None while it is at work, then "" or what went wrong."""
        if not self._ray.wait([self._result], timeout=0)[0]:
            return None
        try:
            return str(self._ray.get(self._result))
        except (self._ray.exceptions.RayError, OSError) as error:
            return f"on Ray: {error}"

    def stop(self) -> None:
        """Ask it to save its state and end."""
        self._ray.cancel(self._result)

    def wait(self) -> None:
        self._ray.wait([self._result])


def _attend(part: Part, folder: str) -> str:
    """What a machine of the cluster does: train the part in a process of its own, which can be asked to stop
    (Ray stops a function by KeyboardInterrupt); "" or what went wrong. folder: that of the command."""
    os.chdir(folder)
    process = PartProcess(part)
    try:
        while (wrong := process.ended()) is None:
            time.sleep(LOOK_SECONDS)
        return wrong
    finally:
        process.stop()
        process.wait()


def _work(part: Part) -> None:
    """What a process does."""
    # Ctrl-C reaches it too, but it is the parent that stops it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        part.train()
    except TombolaError as error:
        sys.exit(f"{part.name}: {error}")
    except Interrupted:
        sys.exit()
