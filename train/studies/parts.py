"""The parts of a study, each trained in a process of its own; what is done already is not done again."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol

from tombola.errors import TombolaError, TrainingError
from tombola.train.loop.loop import Interrupted
from tombola.train.loop.stop_signals import stop_signals

LOOK_SECONDS = 0.2

Told = Callable[[str], None]


class Piece(Protocol):
    """One result of a study, in a folder of its own. Pieces are equal where their folders are."""

    @property
    def path(self) -> Path: ...

    @property
    def is_done(self) -> bool: ...

    def told(self) -> str:
        """What came of it, in a line, once it is done."""


class Part(Protocol):
    """What one process trains, piece after piece; it can be handed to one (pickled)."""

    @property
    def name(self) -> str: ...

    @property
    def pieces(self) -> Sequence[Piece]: ...

    def is_ready(self) -> bool:
        """Whether all that it begins from is there."""

    def train(self) -> None:
        """Train those pieces that are not done. Raises TombolaError, and Interrupted after SIGTERM."""


@dataclass(frozen=True)
class _Running:
    part: Part
    process: SpawnProcess


def train_parts(parts: Sequence[Part], *, jobs: int = 1, told: Told = lambda _: None) -> None:
    """Train what is not done, `jobs` processes of one thread at once, in this order where nothing must wait.

    Raises TrainingError if a process fails, Interrupted after SIGINT.
    """
    waiting = [part for part in parts if not _is_done(part)]
    pieces = [piece for part in parts for piece in part.pieces]
    seen = {piece.path for piece in pieces if piece.is_done}
    if seen:
        told(f"{len(seen)} of {len(pieces)} pieces are done already")
    running: list[_Running] = []
    try:
        with stop_signals() as stopped:
            while (waiting or running) and not stopped[0]:
                for part in [part for part in waiting if part.is_ready()][: jobs - len(running)]:
                    waiting.remove(part)
                    running.append(_start(part))
                time.sleep(LOOK_SECONDS)
                for piece in (piece for piece in pieces if piece.path not in seen and piece.is_done):
                    seen.add(piece.path)
                    told(f"{len(seen)}/{len(pieces)}  {piece.told()}")
                running = [one for one in running if _is_alive(one)]
            if waiting or running:
                raise Interrupted(f"stopped with {len(pieces) - len(seen)} pieces to go")
    finally:
        for one in running:
            one.process.terminate()
        for one in running:
            one.process.join()


def _start(part: Part) -> _Running:
    # Spawned: a fork would have the parent's threads half.
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(part,))
    process.start()
    return _Running(part, process)


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


def _is_alive(one: _Running) -> bool:
    """Whether it is still at work; TrainingError if it ended with its work undone."""
    if one.process.is_alive():
        return True
    if one.process.exitcode or not _is_done(one.part):
        raise TrainingError(
            f"the training of {one.part.name} ended with exit code {one.process.exitcode}, what it printed "
            "says why; given again, the command goes on from there"
        )
    return False


def _is_done(part: Part) -> bool:
    return all(piece.is_done for piece in part.pieces)
