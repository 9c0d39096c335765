"""A run -> its tickets, round after round: train, take the smallest weights away, rewind, train again
(Frankle & Carbin 2019, section 2; late rewinding: Frankle et al. 2020)."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tombola.errors import TrainingError
from tombola.train.drawing.tickets import draw_tickets
from tombola.train.metrics.score import Score
from tombola.train.prune.retrain import check_learns, dense_score, reached, retrain
from tombola.train.prune.weights.mask import MASK, Mask
from tombola.train.prune.weights.next_mask import next_mask
from tombola.train.prune.weights.rewind import Start, find_start
from tombola.train.prune.weights.settings import PruneSettings, keep_settings
from tombola.train.run.folder import RunFolder, write_atomic
from tombola.train.tasks.table import open_task
from tombola.train.tasks.task import Task

ROUND = "round.json"


@dataclass(frozen=True)
class Round:
    """What one round gave. score_before: of the pruned weights before they are trained again; both scores on
    the validation pictures. steps_to_dense: optimiser steps until the score was the dense one's for the first
    time, None if it never was. sparsities: by tensor."""

    number: int
    living: int
    total: int
    score_before: float
    score_after: float
    steps_to_dense: int | None
    sparsities: dict[str, float]


@dataclass(frozen=True)
class Tickets:
    """A finished search: its folder, the score, the dense run's value of it, and the rounds."""

    folder: Path
    score: Score
    dense_score: float
    dense_steps: int
    rounds: list[Round]


def find_tickets(
    run: Path,
    folder: Path | None = None,
    settings: PruneSettings | None = None,
    *,
    device: str = "cpu",
    told: Callable[[str], None] = lambda _: None,
    quiet: bool = False,
) -> Tickets:
    """Search tickets in a finished run; RUN-tickets by default. Goes on where it stopped, to the same bits.

    Each round is a run folder (round-1, …) with mask.safetensors beside its weights; tickets.csv and
    tickets.png lie above. A run that is a ticket itself is pruned further from its mask.
    Raises RecipeError, DataError, TrainingError; Interrupted after SIGINT.
    """
    settings = settings or PruneSettings()
    dense = RunFolder(run)
    dense.check()
    folder = folder or run.with_name(f"{run.name}-tickets")
    keep_settings(folder, settings, run)
    task = open_task(dense.recipe_path)
    check_learns(dense, task)
    wanted, dense_steps = dense_score(dense, task)
    rounds: list[Round] = []
    before = dense
    for number, share in enumerate(settings.shares(), start=1):
        here = RunFolder(folder / f"round-{number}")
        search = _Search(dense, wanted, task, settings, device, quiet)
        kept = _read_round(here) or search.run_round(number, share, before, here)
        rounds.append(kept)
        found = Tickets(folder, task.score, wanted, dense_steps, rounds)
        write_atomic(folder / "tickets.csv", _to_csv(found).encode())
        write_atomic(folder / "tickets.png", draw_tickets(_points(found), wanted, task.score))
        told(_sentence(kept, settings.rounds, task.score))
        bare = [name for name, living in Mask.read(here.path / MASK).items() if int(living.sum()) == 1]
        if bare:
            told(f"  one weight is kept, whatever the share, of {', '.join(bare)}")
        before = here
    return found


@dataclass(frozen=True)
class _Search:
    """What is the same in every round."""

    dense: RunFolder
    dense_score: float
    task: Task
    settings: PruneSettings
    device: str
    quiet: bool

    def run_round(self, number: int, share: float, before: RunFolder, here: RunFolder) -> Round:
        """Prune what the round before has trained, rewind, train, and write down how it went."""
        trained = before.read_weights("last")
        network = self.task.build_network(start=False)
        kept = before.path / MASK
        mask = next_mask(network, trained, Mask.read(kept) if kept.exists() else None, share, self.settings)
        network.load_state_dict(mask.applied(trained))
        with torch.inference_mode():
            score_before = self.task.evaluate(network.eval())[self.task.score.name]
        start = find_start(
            self.settings.rewind,
            self.settings.step,
            self.task,
            self.dense,
            trained,
            seed=self.task.seed + number,
        )
        retrain(self.task, here, start, self.settings.rewind, mask=mask, device=self.device, quiet=self.quiet)
        mask.write(here.path / MASK)
        here.write_lineage({**here.read_lineage(), "ticket": self._lineage(number, mask, start, before)})
        score_after, steps = reached(here, self.task, self.dense_score)
        row = Round(number, mask.living, mask.total, score_before, score_after, steps, mask.sparsities())
        write_atomic(here.path / ROUND, json.dumps(asdict(row), indent=2).encode())
        return row

    def _lineage(self, number: int, mask: Mask, start: Start, before: RunFolder) -> dict[str, Any]:
        levels = before.read_lineage().get("ticket", {}).get("sparsity_by_round", [])
        return {
            "parent": self.dense.path.name,
            "round": number,
            "rewound_to": start.name,
            "scope": self.settings.scope,
            "sparsity": round(mask.sparsity, 6),
            "sparsity_by_round": [*levels, round(mask.sparsity, 6)],
            "living_weights": mask.living,
            "weights": mask.total,
            "sparsity_by_layer": {name: round(share, 6) for name, share in mask.sparsities().items()},
        }


def _read_round(here: RunFolder) -> Round | None:
    path = here.path / ROUND
    try:
        return Round(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{path} is damaged ({error}); remove {here.path}") from None


def _points(found: Tickets) -> list[tuple[float, float, float]]:
    """Share of weights left, score before and after training, a point a round."""
    return [(row.living / row.total, row.score_before, row.score_after) for row in found.rounds]


def _to_csv(found: Tickets) -> str:
    name = found.score.name
    lines = [f"round,weights_left,living,{name}_before,{name}_after,steps_to_dense"]
    lines.append(f"0,1,,,{found.dense_score:.6g},{found.dense_steps}")
    for row in found.rounds:
        steps = "" if row.steps_to_dense is None else row.steps_to_dense
        share = row.living / row.total
        lines.append(
            f"{row.number},{share:.6g},{row.living},{row.score_before:.6g},{row.score_after:.6g},{steps}"
        )
    return "\n".join(lines) + "\n"


def _sentence(row: Round, rounds: int, score: Score) -> str:
    return (
        f"round {row.number}/{rounds}  {100 * row.living / row.total:.1f} % of the weights left  "
        f"{score.name} {score.tell(row.score_before)} as cut, {score.tell(row.score_after)} trained again"
    )
