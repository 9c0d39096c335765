"""What became of one point of a search."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tombola.errors import TrainingError
from tombola.train.metrics.score import Score
from tombola.train.run.folder import RunFolder, write_atomic
from tombola.train.search.point import Point

State = Literal["done", "stopped", "failed", "open"]
FILE = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """The best validation score of a point, the epoch that had it and the training loss of that epoch; all
    None if it failed or nothing was judged.

    state: done; stopped, because others were far better; failed, for `reason`; open, not ended yet.
    """

    point: Point
    state: State
    score: float | None = None
    epoch: int | None = None
    loss: float | None = None
    reason: str = ""


def measured(point: Point, state: Literal["done", "stopped"], run: Path, score: Score) -> Outcome:
    """The outcome of a point that did not fail, by what the run folder's metrics.csv says."""
    best = score.best(RunFolder(run).read_metrics())
    if best is None:
        return Outcome(point, state)
    return Outcome(point, state, best[score.key], int(best["epoch"]), best.get("loss"))


def keep(outcome: Outcome, run: Path) -> None:
    """Remember in the run folder what became of the point."""
    content = asdict(outcome)
    del content["point"]
    write_atomic(run / FILE, json.dumps(content).encode())


def kept(point: Point, run: Path) -> Outcome:
    """What `keep` left there; open if that is nothing. TrainingError if it is damaged."""
    path = run / FILE
    if not path.exists():
        return Outcome(point, "open")
    try:
        return Outcome(point, **json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{path} is damaged ({error}); remove it to train the point again") from None


def forget(run: Path) -> None:
    """Make the point open again."""
    (run / FILE).unlink(missing_ok=True)


def ranked(outcomes: Sequence[Outcome], score: Score) -> list[Outcome]:
    """Best score first, of equals the smaller loss; those without a score last."""

    def rank(outcome: Outcome) -> tuple[float, float]:
        if outcome.score is None:
            return (math.inf, math.inf)
        return score.rank(outcome.score, math.inf if outcome.loss is None else outcome.loss)

    return sorted(outcomes, key=rank)


def to_csv(outcomes: Sequence[Outcome], score: Score) -> bytes:
    """One row a point in the order given: its values, score, epoch, state, reason and folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*(axis.key for axis in outcomes[0].point.axes), score.name, "epoch", "state", "reason", "run"]
    )
    for outcome in outcomes:
        value = "" if outcome.score is None else f"{outcome.score:.10g}"
        epoch = "" if outcome.epoch is None else outcome.epoch
        row = [*outcome.point.values, value, epoch, outcome.state, outcome.reason, outcome.point.name]
        writer.writerow(row)
    return text.getvalue().encode()
