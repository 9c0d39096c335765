"""ln Z of a restricted Boltzmann machine by annealed importance sampling (Neal 2001; Salakhutdinov & Murray
2008)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tombola.train.networks.generate.rbm import Rbm, draw
from tombola.train.tasks.task import Tell, silent

SPREAD = 3  # standard deviations of the mean of the runs


@dataclass(frozen=True)
class LogPartition:
    """ln Z over the levels of pictures, in nats: of the mean of the runs, and of SPREAD standard deviations
    of that mean below and above; low is -inf where the runs say nothing."""

    mean: float
    low: float
    high: float


@torch.no_grad()
def log_partition(network: Rbm, runs: int, temperatures: int, seed: int, tell: Tell = silent) -> LogPartition:
    """Each run goes from the machine without hidden units, whose Z is known, over so many machines between to
    this one; it gives a Z that is right on average, but low as a rule where there are too few."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        logs = _log_weights(network, runs, temperatures, tell).double()
    largest = logs.max()
    shares = (logs - largest).exp()
    mean = shares.mean()
    error = SPREAD * shares.std() / math.sqrt(runs)
    known = float(largest) + _log_partition_of_base(network)
    low, middle, high = (known + float(one.clamp(min=0).log()) for one in (mean - error, mean, mean + error))
    return LogPartition(middle, low, high)


def _log_weights(network: Rbm, runs: int, temperatures: int, tell: Tell) -> Tensor:
    """ln of the importance weight of each run, [runs]."""
    base, bias = network.base, network.visible_bias
    visible = network.draw_visible(base.expand(runs, -1))
    logs = torch.zeros(runs, dtype=torch.float64, device=base.device)
    odds = network.hidden_odds(visible)
    for step in range(1, temperatures + 1):
        before, now = (step - 1) / temperatures, step / temperatures
        logs += (now - before) * (visible @ (bias - base))
        logs += (F.softplus(now * odds) - F.softplus(before * odds)).sum(1)
        hidden = draw(now * odds)
        visible = network.draw_visible((1 - now) * base + now * network.visible_drive(hidden))
        odds = network.hidden_odds(visible)
        tell(step, temperatures)
    return logs


def _log_partition_of_base(network: Rbm) -> float:
    visible = F.softplus(network.base.double()).sum()
    if not network.is_binary:
        visible = 0.5 * (network.base.double().square() + math.log(2 * math.pi)).sum()
    levels = network.deviation.double().log().sum()  # a visible unit is so many times narrower than its level
    return float(visible + levels) + network.latent_size * math.log(2)
