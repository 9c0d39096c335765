"""One cell of a study: the trainings of all seeds at one round, or from one step, and its folder."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tombola.errors import TrainingError
from tombola.train.prune.weights.mask import MASK, Mask
from tombola.train.run.folder import RunFolder, write_atomic
from tombola.train.studies.tickets.study import Arm
from tombola.train.studies.tickets.trial import Trained, Trial

RESULT = "trials.json"


@dataclass(frozen=True)
class Result:
    """One training: how many of `total` weights lived, how it went, and for twins the share of wrong answers
    (test) at equal steps on the line from the first to the second."""

    seed: int
    living: int
    total: int
    trial: Trial
    line_errors: list[float]


@dataclass(frozen=True)
class Cell:
    """Where the trainings of an arm at one number lie: a run folder a seed, and trials.json when all are
    done."""

    folder: Path
    arm: Arm
    number: int

    @property
    def path(self) -> Path:
        return self.folder / "cells" / self.arm.name / f"{self.number:02}"

    @property
    def is_done(self) -> bool:
        return (self.path / RESULT).exists()

    def run(self, seed: int) -> RunFolder:
        """The folder of one seed: last, and of a dense network initial and early-K.safetensors, the mask."""
        return RunFolder(self.path / f"seed-{seed}")

    def mask(self, seed: int) -> Mask:
        return Mask.read(self.run(seed).path / MASK)

    def keep(
        self,
        trained: Sequence[Trained],
        masks: Sequence[Mask | None],
        total: int,
        line_errors: Sequence[list[float]],
    ) -> None:
        """Write down what was trained, the result last."""
        results = []
        for seed, (one, mask, errors) in enumerate(zip(trained, masks, line_errors, strict=True)):
            run = self.run(seed)
            run.path.mkdir(parents=True, exist_ok=True)
            run.write_weights("last", one.last, {})
            for step, state in one.early.items():
                run.write_weights(f"early-{step}" if step else "initial", state, {})
            if mask is not None:
                mask.write(run.path / MASK)
            results.append(Result(seed, total if mask is None else mask.living, total, one.trial, errors))
        write_atomic(self.path / RESULT, json.dumps([asdict(one) for one in results]).encode())

    def told(self) -> str:
        """What came of it, in a line."""
        results = self.results()
        left = sum(one.living / one.total for one in results) / len(results)
        test = sum(one.trial.stop_test for one in results) / len(results)
        return (
            f"{self.arm.name} {self.number}  {100 * left:.1f} % of the weights left, {100 * test:.2f} % right"
        )

    def results(self) -> list[Result]:
        """What `keep` wrote, a result a seed; TrainingError if it is damaged."""
        path = self.path / RESULT
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            return [Result(**{**row, "trial": Trial(**row["trial"])}) for row in rows]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise TrainingError(f"{path} is damaged ({error}); remove it to train it again") from None
