"""What is wrong with a recipe, found before a training loses an hour on it: the checks, in order."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch

from tombola.train.doctor.checks.answer_width import check_answer_width
from tombola.train.doctor.checks.first_gradient import FirstGradient, check_first_weights, check_gradients
from tombola.train.doctor.checks.first_loss import check_first_loss
from tombola.train.doctor.checks.handful import check_handful
from tombola.train.doctor.checks.inputs import check_inputs
from tombola.train.doctor.checks.label_gain import Gain, check_augmentation, check_labels, measure_labels
from tombola.train.doctor.checks.material import FULL_BUDGET_S, Material
from tombola.train.doctor.checks.penalty import check_penalty
from tombola.train.doctor.checks.range_plot import draw_range_test
from tombola.train.doctor.checks.range_test import RangeTest, check_learning_rate, run_range_test
from tombola.train.doctor.finding import Finding
from tombola.train.run.folder import write_atomic
from tombola.train.tasks.task import ExaminedTask, LabelledTask

CHECKS = (
    "answer width",
    "inputs",
    "first loss",
    "first weights",
    "gradients",
    "penalty",
    "handful",
    "learning rate",
    "labels",
    "augmentation",
)
# These compare pictures with their labels.
OF_LABELS = ("answer width", "handful", "labels", "augmentation")
# Faults that the checks after them can be examined in spite of.
APART = ("penalty", "learning rate")


@dataclass(frozen=True)
class Preflight:
    """One finding a check, in the order of CHECKS; the range test if it was reached; seconds it all took.

    learning_rate is the recipe's.
    """

    findings: tuple[Finding, ...]
    range_test: RangeTest | None
    learning_rate: float
    seconds: float

    @property
    def has_fault(self) -> bool:
        return any(finding.level == "fault" for finding in self.findings)

    def write(self, folder: Path) -> None:
        """preflight.json and, if there was a range test, range_test.png. Raises OutputError."""
        test = None
        if self.range_test is not None:
            test = asdict(self.range_test)
            for key in ("losses", "smooth_losses"):  # JSON has no NaN
                test[key] = [value if math.isfinite(value) else None for value in test[key]]
            if not math.isfinite(self.range_test.first_loss):
                test["first_loss"] = None
            png = draw_range_test(self.range_test, self.learning_rate)
            write_atomic(folder / "range_test.png", png)
        content = {
            "findings": [asdict(finding) for finding in self.findings],
            "range_test": test,
            "learning_rate": self.learning_rate,
            "seconds": round(self.seconds, 1),
        }
        write_atomic(folder / "preflight.json", json.dumps(content, indent=2).encode())


def preflight(
    task: ExaminedTask,
    *,
    device: str = "cpu",
    budget_s: float = FULL_BUDGET_S,
    say: Callable[[str], None] = lambda _: None,
    show: Callable[[str], None] = lambda _: None,
) -> Preflight:
    """Examine a task (section by section as a careful trainer would) on networks that are dropped afterwards.

    Takes seconds for a small classifier and some minutes for a detector, about `budget_s` at most: what
    trains has a share of it, so a slow machine may see less. `say` gets a line for each check and what it has
    seen, `show` many lines that may replace each other. Raises what reading pictures and building the network
    raise.
    """
    begin = time.monotonic()
    material = Material(task, torch.device(device), budget_s=budget_s, show=show)
    examination = _Examination(material, say)
    findings: list[Finding] = []
    for check, examine in zip(CHECKS, examination.checks(), strict=True):
        stop = next((one for one in findings if one.level == "fault" and one.check not in APART), None)
        if stop is not None:
            findings.append(Finding(check, "skipped", f"not examined: first mend the fault of {stop.check}"))
        elif check in OF_LABELS and not isinstance(task, LabelledTask):
            findings.append(Finding(check, "skipped", "not examined: pictures of this task have no labels"))
        elif material.total.is_over:
            said = f"not examined: the budget of {budget_s / 60:g} minutes is used up; raise --budget"
            findings.append(Finding(check, "skipped", said))
        else:
            say(f"{check} …")
            findings.append(examine())
    return Preflight(
        tuple(findings),
        examination.range_test,
        task.settings.learning_rate,
        time.monotonic() - begin,
    )


class _Examination:
    """The checks, one method each, and what they hand on to each other."""

    def __init__(self, material: Material, say: Callable[[str], None]) -> None:
        self.material = material
        self.say = say
        self.range_test: RangeTest | None = None
        self.rate = math.nan  # at which the handful was learnt, by Adam

    def checks(self) -> tuple[Callable[[], Finding], ...]:
        """In the order of CHECKS."""
        material = self.material
        return (
            lambda: check_answer_width(material),
            lambda: check_inputs(material),
            lambda: check_first_loss(material),
            lambda: check_first_weights(self.gradient),
            lambda: check_gradients(self.gradient),
            lambda: check_penalty(material),
            self._handful,
            self._learning_rate,
            self._labels,
            self._augmentation,
        )

    @cached_property
    def gradient(self) -> FirstGradient:
        return FirstGradient(self.material)

    def _handful(self) -> Finding:
        finding, self.rate = check_handful(self.material, self.say)
        return finding

    def _learning_rate(self) -> Finding:
        self.range_test = run_range_test(self.material)
        return check_learning_rate(self.range_test, self.material.task.settings.learning_rate)

    def _labels(self) -> Finding:
        return check_labels(self.gain)

    def _augmentation(self) -> Finding:
        return check_augmentation(self.material, self.rate, self.gain, self.say)

    @cached_property
    def gain(self) -> Gain:
        return measure_labels(self.material, self.rate, self.say)
