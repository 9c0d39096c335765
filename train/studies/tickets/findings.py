"""From trainings to numbers with their spread: what each cell gave, held to the dense network of its seed."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tombola.train.prune.weights.controls import error_barrier
from tombola.train.studies.spread import Spread
from tombola.train.studies.tickets.cell import Cell, Result
from tombola.train.studies.tickets.study import Arm, Kind, Study


@dataclass(frozen=True)
class Row:
    """One cell, over its seeds.

    left: share of weights, 0 … 1. test, gap: per cent right at the early stop, and points above the dense
    network of the same seed. stop: the step of the early stop; unstopped: seeds of which it was the last.
    to_dense: the first step with the dense network's validation accuracy, of the seeds that had it, `reached`
    of `seeds`. barrier: in points, of twins.
    """

    arm: Arm
    number: int
    seeds: int
    living: float
    left: float
    test: Spread
    gap: Spread
    stop: Spread
    to_dense: Spread
    reached: int
    barrier: Spread
    unstopped: int


class Findings:
    """The rows of all cells that are done."""

    def __init__(self, study: Study, folder: Path) -> None:
        self.study, self.folder = study, folder
        cells = [Cell(folder, arm, number) for arm in study.arms for number in arm.numbers]
        results = {(cell.arm.name, cell.number): cell.results() for cell in cells if cell.is_done}
        self.planned, self.done = len(cells), len(results)
        self.rows = []
        for cell in cells:
            dense = results.get((study.tickets_of(cell.arm).name, 0))
            if dense and (cell.arm.name, cell.number) in results:
                self.rows.append(_row(cell, results[cell.arm.name, cell.number], dense))

    def of(self, kind: Kind, network: str | None = None) -> list[Row]:
        """The rows of an arm in the order of their numbers; of the main network unless told."""
        wanted = (network or self.study.main, kind)
        return [row for row in self.rows if (row.arm.network, row.arm.kind) == wanted]

    def ticket(self, number: int) -> Row | None:
        """The main network's tickets of a round."""
        return next((row for row in self.of("tickets") if row.number == number), None)

    def overlaps(self) -> list[tuple[Row, Spread, Spread]]:
        """Of each round of the main network the Jaccard overlap of the masks of two seeds, over all pairs,
        and that of masks at random places with as many in each layer."""
        found = []
        for row in self.of("tickets"):
            if row.number:
                cell = Cell(self.folder, row.arm, row.number)
                pairs = list(itertools.combinations([cell.mask(seed) for seed in range(row.seeds)], 2))
                measured = Spread.of(a.overlap(b) for a, b in pairs)
                found.append((row, measured, Spread.of(a.overlap_by_chance(b) for a, b in pairs)))
        return found


def _row(cell: Cell, results: Sequence[Result], dense: Sequence[Result]) -> Row:
    pairs = list(zip(results, dense, strict=False))
    steps = [one.trial.reached(its.trial.stop_valid) for one, its in pairs]
    known = [step for step in steps if step is not None]
    return Row(
        arm=cell.arm,
        number=cell.number,
        seeds=len(results),
        living=statistics.fmean(one.living for one in results),
        left=statistics.fmean(one.living / one.total for one in results),
        test=Spread.of(100 * one.trial.stop_test for one in results),
        gap=Spread.of(100 * (one.trial.stop_test - its.trial.stop_test) for one, its in pairs),
        stop=Spread.of(one.trial.stop_step for one in results),
        to_dense=Spread.of(known),
        reached=len(known),
        barrier=Spread.of(100 * error_barrier(one.line_errors) for one in results if one.line_errors),
        unstopped=sum(one.trial.stop_step == one.trial.steps[-1] for one in results),
    )
