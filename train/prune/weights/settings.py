"""How a ticket is searched."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tombola.errors import RecipeError, TrainingError
from tombola.train.prune.weights.criteria import Scope, round_shares
from tombola.train.run.folder import write_atomic

Rewind = Literal["theta0", "thetak", "lrr", "finetune", "scratch"]
FINE_TUNING = 0.1  # of the recipe's learning rate, held constant


@dataclass(frozen=True)
class PruneSettings:
    """How a ticket is searched.

    sparsity   share of the prunable weights that are dead at the end, 0 … 1
    rounds     in how many rounds; 1 is one-shot
    schedule   "geometric" takes the same share of what lives each round, "cubic" much first and little last
    rewind     from where a round trains: "theta0" the first weights, "thetak" those of step `step`, "lrr" the
               trained ones with the schedule replayed (Renda et al. 2020), "finetune" the trained ones at a
               tenth of the rate, "scratch" new first weights (a control)
    step       for "thetak": an optimiser step whose weights the run kept; None is the first of them
    scope      rank weights over the whole network or in each tensor
    leave_out  layers that are not pruned; half_rate: layers of which half the share is taken
    biases     whether biases die too
    """

    sparsity: float = 0.8
    rounds: int = 5
    schedule: Literal["geometric", "cubic"] = "geometric"
    rewind: Rewind = "thetak"
    step: int | None = None
    scope: Scope = "global"
    leave_out: tuple[str, ...] = ()
    half_rate: tuple[str, ...] = ()
    biases: bool = False

    def __post_init__(self) -> None:
        self.shares()
        if self.step is not None and self.rewind != "thetak":
            raise RecipeError(f"step = {self.step} has a meaning for rewind thetak alone; leave it out")

    def shares(self) -> list[float]:
        """What each round takes of the living weights."""
        return round_shares(self.sparsity, self.rounds, self.schedule)


def keep_settings(folder: Path, settings: Any, run: Path) -> None:
    """Write settings (a dataclass) to the folder; TrainingError if it was begun with others, for it goes on
    with them."""
    text = json.dumps({"run": str(run.resolve()), **asdict(settings)}, indent=2)
    path = folder / "prune.json"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise TrainingError(f"{folder} was begun with another run or other settings; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())
