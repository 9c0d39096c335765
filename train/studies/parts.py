"""The parts of a study, each trained in a process of its own; what is done already is not done again."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from tombola.errors import TrainingError
from tombola.train.loop.loop import Interrupted
from tombola.train.loop.stop_signals import stop_signals
from tombola.train.run.ray_cluster import ray_cluster
from tombola.train.studies.part import Part
from tombola.train.studies.part_at_work import PartOnRay, PartProcess

LOOK_SECONDS = 0.2

Told = Callable[[str], None]


class AtWork(Protocol):
    """A part that is being trained."""

    part: Part

    def ended(self) -> str | None:
        """None while it is at work, then "" or what went wrong."""

    def stop(self) -> None:
        """Ask it to save its state and end."""

    def wait(self) -> None:
        """Wait until it has ended."""


def train_parts(
    parts: Sequence[Part], *, jobs: int | None = None, ray: bool = False, told: Told = lambda _: None
) -> None:
    """Train what is not done, `jobs` processes of one thread at once, in this order where nothing must wait.

    jobs: by default one; with `ray`, which trains them on the Ray cluster of RAY_ADDRESS or on one started
    here, as many as the cluster has cores. On a cluster the folder of the study, its data and the folder
    that the command was given in are at the same paths on every machine.
    Raises TrainingError if a process fails or Ray is not installed, Interrupted after SIGINT.
    """
    waiting = [part for part in parts if not _is_done(part)]
    pieces = [piece for part in parts for piece in part.pieces]
    seen = {piece.path for piece in pieces if piece.is_done}
    if seen:
        told(f"{len(seen)} of {len(pieces)} pieces are done already")
    running: list[AtWork] = []
    with _starter(ray) as (start, places), stop_signals() as stopped:
        try:
            while (waiting or running) and not stopped[0]:
                ready = [part for part in waiting if part.is_ready()]
                for part in ready[: (jobs or places) - len(running)]:
                    waiting.remove(part)
                    running.append(start(part))
                time.sleep(LOOK_SECONDS)
                for piece in (piece for piece in pieces if piece.path not in seen and piece.is_done):
                    seen.add(piece.path)
                    told(f"{len(seen)}/{len(pieces)}  {piece.told()}")
                running = [one for one in running if _is_alive(one)]
            if waiting or running:
                raise Interrupted(f"stopped with {len(pieces) - len(seen)} pieces to go")
        finally:
            for one in running:
                one.stop()
            for one in running:
                one.wait()


@contextmanager
def _starter(on_ray: bool) -> Iterator[tuple[Callable[[Part], AtWork], int]]:
    """What sets a part to work, and how many work at once unless it is said."""
    if not on_ray:
        yield PartProcess, 1
        return
    with ray_cluster() as ray:
        yield lambda part: PartOnRay(part, ray), int(ray.cluster_resources()["CPU"])


def _is_alive(one: AtWork) -> bool:
    """Whether it is still at work; TrainingError if it ended with its work undone."""
    wrong = one.ended()
    if wrong is None:
        return True
    if wrong or not _is_done(one.part):
        raise TrainingError(
            f"the training of {one.part.name} ended {wrong or 'with its work undone'}; given again, the "
            "command goes on from there"
        )
    return False


def _is_done(part: Part) -> bool:
    return all(piece.is_done for piece in part.pieces)
