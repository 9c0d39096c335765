"""Batch-norm statistics estimated anew over training pictures: the test-time rule of Ioffe & Szegedy (2015,
algorithm 2). A network that lost channels is not worth judging before (Li et al. 2020)."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tombola.errors import TrainingError
from tombola.train.metrics.score import Score
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import open_task
from tombola.train.tasks.task import Task, TurnsTask, several

# Means over this many pictures move no more.
PICTURES = 1024


def reestimate(network: nn.Module, task: Task) -> int:
    """Give every batch norm that learns statistics the mean and the unbiased variance of training pictures,
    as they are, under the network's own weights; the number of such norms. The network is left in eval mode.

    Those that the task keeps fixed stay: the weights around them were trained for what they are.
    """
    moment = answering_turn(task)
    task.prepare(network, moment)
    norms = [
        module
        for module in network.modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.training
    ]
    network.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    if norms:
        with torch.no_grad():
            for batch in plain_batches(task, PICTURES):
                task.losses(network, batch, moment)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
    return len(norms)


def answering_turn(task: Task) -> Moment:
    """The first step; where parts learn in turns, that of those which answer: they are last."""
    return Moment(0, 0, 1, turn=task.turns - 1 if isinstance(task, TurnsTask) else 0)


def plain_batches(task: Task, pictures: int) -> Iterator[Any]:
    """Batches of at least `pictures` training pictures, or of all, without augmentation."""
    examples = task.examples(augmented=False)
    for requests in itertools.islice(task.plan_epoch(0), -(-pictures // task.settings.batch_size)):
        yield task.collate(several(examples, requests))


@dataclass(frozen=True)
class Reestimated:
    """Where the weights with new statistics lie, and the score before and after on the validation pictures,
    None if there are none."""

    path: Path
    score: Score
    before: float | None
    after: float | None

    def told(self) -> str:
        """The file, and both scores."""
        if self.before is None or self.after is None:
            return str(self.path)
        tell = self.score.tell
        return f"{self.path}: {self.score.name} {tell(self.after)}, it was {tell(self.before)}"


def reestimate_run(run: Path, weights: str = "best") -> Reestimated:
    """Write RUN/reestimated.safetensors: the weights with new statistics. TrainingError for what is no run or
    a network without batch norm."""
    folder = RunFolder(run)
    folder.check()
    task = open_task(folder.recipe_path)
    network = task.build_network(start=False).eval()
    folder.load(network, weights)
    before = score_of(network, task)
    if not reestimate(network, task):
        raise TrainingError(
            f"the network of {run} has no batch norm that learns; there is nothing to estimate anew"
        )
    folder.write_weights("reestimated", network.state_dict(), {"of": weights})
    after = score_of(network, task)
    return Reestimated(folder.weights_path("reestimated"), task.score, before, after)


def score_of(network: nn.Module, task: Task) -> float | None:
    """The task's score of a network in eval mode on the validation pictures; None if there are none."""
    with torch.inference_mode():
        return task.evaluate(network).get(task.score.name)
