"""The weights from which a round trains, and where in the schedule they stand."""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from tombola.errors import TrainingError
from tombola.train.prune.weights.settings import Rewind
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.task import Task


@dataclass(frozen=True)
class Start:
    """Weights, the optimiser step that they belong to, and what to call them in the lineage."""

    weights: Mapping[str, Tensor]
    step: int
    name: str


def find_start(
    rewind: Rewind, step: int | None, task: Task, dense: RunFolder, trained: Mapping[str, Tensor], seed: int
) -> Start:
    """Where a round begins. trained: the weights of the round before. seed: of new weights for "scratch".

    TrainingError if the dense run has not kept what the rewinding asks for; it says what remains.
    """
    match rewind:
        case "theta0":
            _check_kept(dense, "initial")
            return Start(dense.read_weights("initial"), 0, "step 0")
        case "thetak":
            step = early_step(dense, step)
            return Start(dense.read_weights(f"early-{step}"), step, f"step {step}")
        case "scratch":
            other = copy.copy(task)
            other.seed = seed
            return Start(other.build_network().state_dict(), 0, f"new weights of seed {seed}")
        case "lrr" | "finetune":
            return Start(trained, 0, "the weights before pruning")


def early_step(dense: RunFolder, asked: int | None) -> int:
    """The step whose weights are kept: the one asked for, or the first."""
    steps = sorted(
        int(found[1])
        for path in dense.path.glob("early-*.safetensors")
        if (found := re.fullmatch(r"early-(\d+)", path.stem))
    )
    if asked in steps or (asked is None and steps):
        return steps[0] if asked is None else asked
    kept = ", ".join(map(str, steps)) or "none"
    raise TrainingError(
        f"{dense.path} has no weights of step {'K' if asked is None else asked} to rewind to (kept: {kept}); "
        "train with training.early_steps = [K], or choose rewind theta0, lrr or finetune"
    )


def _check_kept(dense: RunFolder, name: str) -> None:
    if not dense.weights_path(name).exists():
        raise TrainingError(
            f"{dense.path} has no {name}.safetensors to rewind to; choose rewind lrr or finetune, which need "
            "the trained weights alone"
        )
