"""Parity: does the file answer as the network does, and how far did rounding its weights move the answers?"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from tombola.errors import ExportError
from tombola.export.parity.question import Asking, Options, Question
from tombola.runtime.tasks.difference import Arrays, Difference
from tombola.runtime.tasks.table import TASKS, Task

# A few roundings of float32, tried so many times.
_NUDGE, _NUDGES = 1e-6, 3
# Rounding is measured on inputs of up to this many numbers: PyTorch is slow on larger pictures.
_MOST_NUMBERS = 3 * 1024 * 1024


@dataclass(frozen=True)
class Comparison:
    """How far two answers to one question are apart.

    size_hw: of the picture. options: what was fed to the optional inputs. count: how many things the wanted
    answer holds.
    """

    question: str
    size_hw: tuple[int, ...]
    options: Options
    count: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Parity:
    """All comparisons of one kind.

    counted: what `count` of a comparison counts. undecided: how many more comparisons were left out because
    PyTorch contradicts itself there: scores equal but for rounding have no order.
    """

    counted: str
    comparisons: tuple[Comparison, ...]
    undecided: int = 0

    @property
    def count(self) -> int:
        """How many things were compared: boxes, probabilities."""
        return sum(one.count for one in self.comparisons)

    @property
    def worst(self) -> tuple[Difference, ...]:
        """The largest difference of each kind."""
        kinds = zip(*(one.differences for one in self.comparisons), strict=True)
        return tuple(replace(kind[0], value=max(difference.value for difference in kind)) for kind in kinds)

    def summary(self) -> dict[str, Any]:
        """The figures for the card: largest differences, and how much they rest on."""
        return {
            "reference": f"PyTorch {torch.__version__.partition('+')[0]}",
            "onnxruntime": ort.__version__,
            "sizes_hw": [list(size_hw) for size_hw in dict.fromkeys(one.size_hw for one in self.comparisons)],
            "pictures": len({(one.question, one.size_hw) for one in self.comparisons}),
            "comparisons": len(self.comparisons),
            "undecided": self.undecided,
            self.counted: self.count,
            **{difference.key: difference.value for difference in self.worst},
        }


def check_parity(
    module: nn.Module,
    session: ort.InferenceSession,
    task: str,
    asking: Asking,
    defaults: Options,
    questions: Sequence[Question],
) -> Parity:
    """Compare the file with the module it was made of, on every question and at all of `asking`'s options.

    Raises ExportError for a difference, or if half of all comparisons had to be left out.
    """
    comparisons: list[Comparison] = []
    undecided = 0
    for question in questions:
        for options in asking.options(defaults):
            try:
                comparisons.append(compare(module, session, task, question, options, asking.share))
            except ExportError:
                more = _names(session)
                if not (
                    asking.breaks_ties
                    and _is_undecided(module, TASKS[task], question, options, asking.share, more)
                ):
                    raise
                undecided += 1
    if undecided >= len(comparisons):
        raise ExportError(
            f"{undecided} of {undecided + len(comparisons)} comparisons with PyTorch say nothing, because "
            "the network's scores are equal but for rounding; train it before you export it."
        )
    return Parity(TASKS[task].yardstick.counted, tuple(comparisons), undecided)


def compare(
    module: nn.Module,
    session: ort.InferenceSession,
    task: str,
    question: Question,
    options: Options,
    share: float = 1.0,
) -> Comparison:
    """Run both on one question with the optional inputs `options`.

    Raises ExportError if the answers cannot be compared, or differ by more than `share` of what the task's
    yardstick allows another processor.
    """
    yardstick = TASKS[task].yardstick
    found = answer(session, task, question, options)
    wanted = _torch_answer(module, TASKS[task], question, options, _names(session))
    differences = yardstick.differences(found, wanted, share)
    if differences is None or not all(one.is_small for one in differences):
        apart = (
            f"the file gives {yardstick.describe(found)}, PyTorch {yardstick.describe(wanted)}"
            if differences is None
            else "the file and PyTorch are apart: " + ", ".join(map(str, differences))
        )
        at = ", ".join(f"{name} {value:g}" for name, value in options.items())
        raise ExportError(
            f"on {question}{', at ' if at else ''}{at}, {apart}; nothing was written. "
            "Please report it with the recipe."
        )
    return Comparison(question.name, question.size_hw, dict(options), yardstick.count(wanted), differences)


def rounding(
    rounded: nn.Module,
    trained: nn.Module,
    task: str,
    asking: Asking,
    defaults: Options,
    questions: Sequence[Question],
    more_outputs: Sequence[str] = (),
) -> Parity:
    """How far the network with rounded weights is from the one that was trained, both in PyTorch.

    more_outputs: those of the task's that both answer. A measurement, no gate. `undecided` counts the answers
    in which a choice tipped: another number of boxes.
    """
    yardstick = TASKS[task].yardstick
    comparisons = []
    tipped = 0
    for question in questions:
        if sum(array.size for array in question.feeds.values()) > _MOST_NUMBERS:
            continue
        for options in asking.options(defaults):
            wanted, found = (
                _torch_answer(one, TASKS[task], question, options, more_outputs) for one in (trained, rounded)
            )
            differences = yardstick.differences(found, wanted)
            if differences is None:
                tipped += 1
                continue
            count = yardstick.count(wanted)
            comparisons.append(Comparison(question.name, question.size_hw, dict(options), count, differences))
    return Parity(yardstick.counted, tuple(comparisons), tipped)


def answer(
    session: ort.InferenceSession, task: str, question: Question, options: Options
) -> dict[str, NDArray[Any]]:
    """What the file says to one question: output name -> array."""
    names = _names(session)
    values = session.run(names, {**question.feeds, **TASKS[task].signature.option_feeds(options)})
    return dict(zip(names, values, strict=True))


def _names(session: ort.InferenceSession) -> list[str]:
    """What the file answers."""
    return [output.name for output in session.get_outputs()]


def _torch_answer(
    module: nn.Module, task: Task, question: Question, options: Options, more_outputs: Sequence[str]
) -> Arrays:
    signature = task.signature.with_more(question.feeds, more_outputs)
    feeds = {**question.feeds, **signature.option_feeds(options)}
    fed = [torch.from_numpy(feeds[spec.name]) for spec in (*signature.inputs, *signature.optional_inputs)]
    with torch.no_grad():
        values = module(*fed)
    return {spec.name: np.asarray(value) for spec, value in zip(signature.outputs, values, strict=True)}


def _is_undecided(
    module: nn.Module,
    task: Task,
    question: Question,
    options: Options,
    share: float,
    more_outputs: Sequence[str],
) -> bool:
    """Whether PyTorch's own answer changes when all weights move by a few roundings."""
    wanted = _torch_answer(module, task, question, options, more_outputs)
    for seed in range(_NUDGES):
        nudged = copy.deepcopy(module)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in nudged.parameters():
                weight.mul_(1 + _NUDGE * torch.randn(weight.shape, generator=generator))
        found = _torch_answer(nudged, task, question, options, more_outputs)
        differences = task.yardstick.differences(found, wanted, share)
        if differences is None or not all(one.is_small for one in differences):
            return True
    return False
