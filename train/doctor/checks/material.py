"""The pictures that the preflight works on, and their split: some to train on, some to judge by."""

import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import torch
from lightning_fabric.utilities import move_data_to_device

from tombola.errors import TrainingError
from tombola.train.doctor.checks.trial import Trial
from tombola.train.doctor.countdown import Countdown
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import ExaminedTask, LabelledTask, several

HANDFUL = 8
TRAINED = 1024
HELD_OUT = 512
READ_SECONDS = 15.0
# What all limits of the preflight add up to, at most and about.
FULL_BUDGET_S = 600.0
FEWEST_PAIRS = 12  # fewer tell nothing; the time to read them is given
# Where a step takes longer, fewer pictures at a time teach more in the time there is.
STEP_SECONDS = 1.0


class Material:
    """Batches of a task's first epoch, cut in two; the same at every call.

    A third of the pictures, HELD_OUT at most, is held out. What is trained on ends with TRAINED pictures, or
    when reading has taken READ_SECONDS. Batches stay as the task joined them, or are cut, but never mixed; a
    piece of one picture, from which no batch norm can learn, is left out.
    budget_s: seconds for all checks; limits in time shrink and grow with it. show: gets lines of progress.
    TrainingError if there is no whole batch.
    """

    def __init__(
        self,
        task: ExaminedTask,
        device: torch.device,
        *,
        budget_s: float = FULL_BUDGET_S,
        show: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.task = task
        self.device = device
        self.budget_s = budget_s
        self.total = Countdown("preflight", budget_s, show)
        self._show = show
        plan = task.plan_epoch(0)
        if not plan:
            raise TrainingError(
                f"training.batch_size = {task.settings.batch_size} is more than there are training pictures; "
                "choose a smaller one"
            )
        self.first = plan[0]
        self.first_moment = Moment(0, 0, task.settings.epochs * len(plan))
        self._first_batches: dict[bool, Any] = {}
        pictures = sum(len(batch) for batch in plan)
        trained, self._held_out = _split(plan, min(HELD_OUT, pictures // 3))
        self._trained = _without_single(trained)

    @property
    def labelled(self) -> LabelledTask:
        """The task, for checks of labels."""
        assert isinstance(self.task, LabelledTask)
        return self.task

    def limit_s(self, seconds: float) -> float:
        """A limit as this budget has it; never beyond its end."""
        return min(seconds * self.budget_s / FULL_BUDGET_S, max(0.0, self.total.left_s))

    def countdown(self, check: str, seconds: float) -> Countdown:
        """The time that a check has, `seconds` of a full budget."""
        return Countdown(check, self.limit_s(seconds), self._show)

    def trial(self, *, plain: bool = False, optimizer: Literal["adam"] | None = None) -> Trial:
        """A new training on trial, as Trial says."""
        steps = self.first_moment.total_steps
        return Trial(self.task, self.device, steps, plain=plain, optimizer=optimizer)

    @cached_property
    def step_pictures(self) -> int:
        """How many pictures a training step can take within STEP_SECONDS; two at least."""
        trial = self.trial()
        batch = self._read(self.first[:HANDFUL], augmented=False)
        trial.step(batch, 1e-6)  # the first step does what later ones need not do again
        begin = time.monotonic()
        trial.step(batch, 1e-6)
        seconds = max(time.monotonic() - begin, 1e-9) / min(HANDFUL, len(self.first))
        return max(2, int(STEP_SECONDS / seconds))

    def handful(self) -> Any:
        """The first HANDFUL pictures as they are, as one batch; fewer if a step takes long."""
        return self._read(self.first[: min(HANDFUL, self.step_pictures)], augmented=False)

    def first_batch(self, *, augmented: bool) -> Any:
        """The first batch that a training would see; read once."""
        if augmented not in self._first_batches:
            self._first_batches[augmented] = self._read(self.first, augmented=augmented)
        return self._first_batches[augmented]

    def training_batches(self, *, augmented: bool, small: bool = False) -> list[Any]:
        """Batches to train on; at least one. small: of no more than step_pictures."""
        batches: list[Any] = []
        reading, pictures = self.countdown("reading", READ_SECONDS), 0
        for requests in self._cut(self._trained) if small else self._trained:
            batches.append(self._read(requests, augmented=augmented))
            pictures += len(requests)
            if pictures >= TRAINED or reading.is_over:
                break
        return batches

    def held_out_pairs(self, *, augmented: bool) -> list[Any]:
        """Pictures that no training batch holds, as batches of two with different labels."""
        return self._pairs(self._held_out, augmented=augmented)

    def trained_pairs(self, batches: int, *, augmented: bool) -> list[Any]:
        """Pictures of the first small training batches, as batches of two with different labels."""
        return self._pairs(self._cut(self._trained)[:batches], augmented=augmented)

    def _pairs(self, batches: list[list[Any]], *, augmented: bool) -> list[Any]:
        task = self.labelled
        examples, pairs = task.examples(augmented=augmented), list[Any]()
        reading = self.countdown("reading", READ_SECONDS)
        for batch in batches:
            alone: list[Any] = []  # examples without a partner yet, all with the same labels
            for request in batch:
                late = len(pairs) >= FEWEST_PAIRS and reading.is_over
                if len(pairs) == HELD_OUT // 2 or late:
                    return pairs
                alone.append(examples[request])
                if len(alone) == 1:
                    continue
                pair = task.collate(alone[-2:])
                if not task.same_labels(pair):
                    pairs.append(move_data_to_device(pair, self.device))
                    del alone[-2:]
        return pairs

    def _cut(self, batches: list[list[Any]]) -> list[list[Any]]:
        size = self.step_pictures
        return _without_single(
            [batch[start : start + size] for batch in batches for start in range(0, len(batch), size)]
        )

    def _read(self, requests: list[Any], *, augmented: bool) -> Any:
        examples = self.task.examples(augmented=augmented)
        batch = self.task.collate(several(examples, requests))
        return move_data_to_device(batch, self.device)


def _split(batches: list[list[Any]], held_out: int) -> tuple[list[list[Any]], list[list[Any]]]:
    """The batches without, and with only, the last `held_out` pictures."""
    trained = [list(batch) for batch in batches]
    kept: list[list[Any]] = []
    while held_out > 0:
        last = trained.pop()
        if len(last) > held_out or not trained:
            trained.append(last[:-held_out])
            last = last[-held_out:]
        kept.append(last)
        held_out -= len(last)
    return trained, kept


def _without_single(batches: list[list[Any]]) -> list[list[Any]]:
    """The batches of two pictures or more; all if there is no such."""
    return [batch for batch in batches if len(batch) > 1] or batches
