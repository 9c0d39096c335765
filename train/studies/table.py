"""The studies by their names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tombola.train.studies.channels.run_study import run_study as run_channels
from tombola.train.studies.channels.study import CHANNELS
from tombola.train.studies.parts import Told
from tombola.train.studies.tickets.run_study import run_study as run_tickets
from tombola.train.studies.tickets.study import LATE, LENET

StudyName = Literal["lenet", "late", "channels"]


def run_study(
    name: StudyName,
    folder: Path,
    *,
    changes: Sequence[str],
    seeds: int,
    jobs: int | None,
    ray: bool,
    told: Told,
) -> list[str]:
    """Train what is not done of the study and return its findings, a line each; see `run_study` of each."""
    if name == "channels":
        channels = CHANNELS.with_changes(changes).with_seeds(seeds)
        return run_channels(channels, folder, jobs=jobs, ray=ray, told=told)
    tickets = (LENET if name == "lenet" else LATE).with_changes(changes).with_seeds(seeds)
    return run_tickets(tickets, folder, jobs=jobs, ray=ray, told=told)
