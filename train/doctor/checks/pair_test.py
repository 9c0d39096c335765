"""Do labels say something about pictures? Pairs of pictures, judged with their own labels and with swapped
ones."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import LabelledTask, Task

# A pair whose two losses differ by less has equal labels.
TIE = 1e-5


@dataclass(frozen=True)
class PairCount:
    """Of `pairs` pairs with different labels, `own` had the lower loss with their own labels.

    If labels say nothing, each pair is a fair coin: swapping the labels of two pictures changes nothing.
    """

    own: int
    pairs: int

    @property
    def share(self) -> float:
        """0..1; 0.5 is chance, which is also the answer if there are no pairs."""
        return self.own / self.pairs if self.pairs else 0.5

    def chance_at_least(self, share: float) -> float:
        """Probability of as many own or more, if each pair prefers its own with probability `share`."""
        return _binomial_tail(self.own, self.pairs, share)

    def chance_at_most(self, share: float) -> float:
        """Probability of as many own or fewer."""
        return 1.0 - _binomial_tail(self.own + 1, self.pairs, share)


def count_pairs(
    task: LabelledTask,
    network: nn.Module,
    pairs: Sequence[Any],
    moment: Moment,
    *,
    seconds: float,
    fewest: int = 1,
) -> PairCount:
    """Judge batches of two with the network in eval mode; stops when `seconds` are over, but not before
    `fewest` are judged."""
    network.eval()
    begin = time.monotonic()
    own = different = 0
    with torch.no_grad():
        for pair in pairs:
            both = (pair, task.mismatched(pair))
            mine, swapped = (total_loss(task, network, batch, moment) for batch in both)
            if math.isfinite(mine) and math.isfinite(swapped) and abs(mine - swapped) > TIE * abs(mine):
                different += 1
                own += mine < swapped
            if different >= fewest and time.monotonic() - begin > seconds:
                break
    return PairCount(own, different)


def total_loss(task: Task, network: nn.Module, batch: Any, moment: Moment) -> float:
    """The sum of the parts of the loss."""
    return sum(part.item() for part in task.losses(network, batch, moment).values())


def _binomial_tail(at_least: int, count: int, share: float) -> float:
    return math.fsum(
        math.comb(count, hits) * share**hits * (1 - share) ** (count - hits)
        for hits in range(at_least, count + 1)
    )
