"""The points of a search on this machine, some at a time."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tombola.train.loop.loop import Interrupted
from tombola.train.loop.stop_signals import stop_signals
from tombola.train.metrics.score import Score
from tombola.train.search.outcome import Outcome
from tombola.train.search.point import Point
from tombola.train.search.process import PointProcess

LOOK_SECONDS = 0.05


def run_here(
    points: Sequence[Point],
    folder: Path,
    *,
    jobs: int,
    threads: int,
    device: str,
    score: Score,
    ended: Callable[[Outcome], None],
) -> None:
    """Run each point in a process, at most `jobs` at once, and tell `ended` what became of it.

    A point that fails does not stop the others. Raises Interrupted after SIGINT or SIGTERM, when every
    process has saved its state.
    """
    waiting, running = list(points), list[PointProcess]()
    try:
        with stop_signals() as stopped:
            while (waiting or running) and not stopped[0]:
                while waiting and len(running) < jobs:
                    running.append(
                        PointProcess(waiting.pop(0), folder, device=device, threads=threads, score=score)
                    )
                time.sleep(LOOK_SECONDS)
                for process in list(running):
                    outcome = process.poll()
                    if outcome is not None:
                        running.remove(process)
                        ended(outcome)
            for process in running:
                process.stop()
            for process in running:
                process.wait()
            if waiting or running:
                raise Interrupted(f"stopped with {len(waiting) + len(running)} points to go")
    finally:
        for process in running:
            process.kill()
