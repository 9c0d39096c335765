"""A whole study: its arms in processes of their own, and the report of what they found."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path

from tombola.errors import TombolaError, TrainingError
from tombola.train.loop.loop import Interrupted
from tombola.train.loop.stop_signals import stop_signals
from tombola.train.prune.weights.settings import keep_settings
from tombola.train.run.lock import lock_folder
from tombola.train.studies.tickets.cell import Cell
from tombola.train.studies.tickets.report import write_report
from tombola.train.studies.tickets.study import Arm, Study
from tombola.train.studies.tickets.train_arm import open_study_task, train_arm

LOOK_SECONDS = 0.2

Told = Callable[[str], None]


@dataclass(frozen=True)
class _Running:
    arm: Arm
    process: SpawnProcess


def run_study(study: Study, folder: Path, *, jobs: int = 1, told: Told = lambda _: None) -> list[str]:
    """Train what is not done of the study, write its report, and return the report's findings, a line each.

    jobs: processes at once, of one thread each. Given again after a stop
    of any kind it goes on with the cell that was at work. Raises DataError, RecipeError and TrainingError,
    Interrupted after SIGINT.
    """
    for network in study.networks:
        root = open_study_task(study, network).recipe.data.root
    keep_settings(folder, study, root)
    with lock_folder(folder):
        _train_all(study, folder, jobs, told)
        return write_report(study, folder)


def _train_all(study: Study, folder: Path, jobs: int, told: Told) -> None:
    waiting = [arm for arm in study.arms if not _is_done(folder, arm)]
    seen = {cell for arm in study.arms for cell in _cells(folder, arm) if cell.is_done}
    count = sum(len(arm.numbers) for arm in study.arms)
    if seen:
        told(f"{len(seen)} of {count} cells are done already")
    running: list[_Running] = []
    try:
        with stop_signals() as stopped:
            while (waiting or running) and not stopped[0]:
                for arm in [arm for arm in waiting if _is_ready(study, folder, arm)][: jobs - len(running)]:
                    waiting.remove(arm)
                    running.append(_start(study, folder, arm))
                time.sleep(LOOK_SECONDS)
                for cell in (cell for arm in study.arms for cell in _cells(folder, arm)):
                    if cell not in seen and cell.is_done:
                        seen.add(cell)
                        told(f"{len(seen)}/{count}  {_sentence(cell)}")
                running = [one for one in running if _is_alive(one, folder)]
            if waiting or running:
                raise Interrupted(f"stopped with {count - len(seen)} cells to go")
    finally:
        for one in running:
            one.process.terminate()
            one.process.join()


def _start(study: Study, folder: Path, arm: Arm) -> _Running:
    # Spawned: a fork would have the parent's threads half.
    process = multiprocessing.get_context("spawn").Process(
        target=_work, args=(study, folder, arm), daemon=True
    )
    process.start()
    return _Running(arm, process)


def _work(study: Study, folder: Path, arm: Arm) -> None:
    """What a process does."""
    # Ctrl-C reaches it too, but it is the parent that stops it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        train_arm(study, folder, arm)
    except TombolaError as error:
        sys.exit(f"{arm.name}: {error}")


def _is_alive(one: _Running, folder: Path) -> bool:
    """Whether it is still at work; TrainingError if it ended with its work undone."""
    if one.process.is_alive():
        return True
    if one.process.exitcode or not _is_done(folder, one.arm):
        raise TrainingError(
            f"the training of {one.arm.name} ended with exit code {one.process.exitcode}, what it printed "
            "says why; given again, the command goes on from there"
        )
    return False


def _cells(folder: Path, arm: Arm) -> list[Cell]:
    return [Cell(folder, arm, number) for number in arm.numbers]


def _is_done(folder: Path, arm: Arm) -> bool:
    return all(cell.is_done for cell in _cells(folder, arm))


def _is_ready(study: Study, folder: Path, arm: Arm) -> bool:
    """Whether the tickets that it begins from are there."""
    tickets = study.tickets_of(arm)
    return arm == tickets or _is_done(folder, tickets)


def _sentence(cell: Cell) -> str:
    results = cell.results()
    left = sum(one.living / one.total for one in results) / len(results)
    test = sum(one.trial.stop_test for one in results) / len(results)
    return f"{cell.arm.name} {cell.number}  {100 * left:.1f} % of the weights left, {100 * test:.2f} % right"
