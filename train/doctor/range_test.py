"""The learning-rate range test (Smith 2017, section 3.3): the rate grows, step by step, until the loss
explodes."""

import itertools
import math
import time
from dataclasses import dataclass

import numpy as np

from tombola.train.doctor.finding import Finding
from tombola.train.doctor.material import Material
from tombola.train.doctor.trial import Trial
from tombola.train.doctor.watch import EXPLODED

LOWEST, HIGHEST = 1e-6, 10.0
MOST_STEPS, FEWEST_STEPS = 100, 40
SECONDS = 30.0
FIRST_STEPS = 5  # at rates that change nothing yet
SMOOTHING = 0.7
# Share of the fall that is lost again where a training is said to diverge.
LOST = 0.9


@dataclass(frozen=True)
class RangeTest:
    """rates: log-spaced, rising. losses: raw, one a rate. smooth_losses: their running mean. first_loss: the
    mean of the first few. suggested_rate: a tenth of the rate where the smooth loss was lowest, or None if it
    fell nowhere. diverged_rate: where it had fallen and rose again to where it began (batch norm keeps many
    networks from exploding), or None. exploded_rate: where it passed EXPLODED times the first, or None."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth_losses: tuple[float, ...]
    first_loss: float
    suggested_rate: float | None
    diverged_rate: float | None
    exploded_rate: float | None


def run_range_test(material: Material) -> RangeTest:
    """Train a fresh network by the recipe, its schedule apart, through all rates from LOWEST to HIGHEST, or
    to three times the recipe's own if that is more."""
    highest = max(HIGHEST, 3 * material.task.settings.learning_rate)
    trial = Trial(material.task, material.device)
    batches = itertools.cycle(material.training_batches(augmented=False))
    begin = time.monotonic()
    losses = [trial.step(next(batches), LOWEST) for _ in range(2)]
    seconds = (time.monotonic() - begin) / 2
    steps = max(FEWEST_STEPS, min(MOST_STEPS, round(SECONDS / max(seconds, 1e-6))))
    rates = np.geomspace(LOWEST, highest, steps).tolist()
    smooth: list[float] = []
    first, exploded = math.nan, None
    for number, rate in enumerate(rates):
        if number >= len(losses):
            losses.append(trial.step(next(batches), rate))
        loss = losses[number]
        smooth.append(loss if not smooth else SMOOTHING * smooth[-1] + (1 - SMOOTHING) * loss)
        if number < FIRST_STEPS:
            first = float(np.mean(losses[: number + 1]))
        # "not (... <= ...)", so that NaN has exploded too.
        if not smooth[-1] <= EXPLODED * first:
            exploded = rate
            break
    return _read(rates[: len(smooth)], losses[: len(smooth)], smooth, first, exploded)


def _read(
    rates: list[float], losses: list[float], smooth: list[float], first: float, exploded: float | None
) -> RangeTest:
    if not math.isfinite(first):
        return RangeTest(tuple(rates), tuple(losses), tuple(smooth), first, None, None, exploded)
    lowest = int(np.nanargmin(smooth))
    fall = first - smooth[lowest]
    falls = bool(fall > 0.05 * first + np.std(losses[: 2 * FIRST_STEPS]))
    lost = (rate for rate, loss in zip(rates, smooth, strict=True) if loss > first - (1 - LOST) * fall)
    diverged = next((rate for rate in lost if rate > rates[lowest]), None) if falls else None
    suggested = float(f"{rates[lowest] / 10:.2g}") if falls else None
    return RangeTest(
        tuple(rates),
        tuple(losses),
        tuple(smooth),
        first,
        suggested,
        diverged,
        exploded,
    )


def check_learning_rate(test: RangeTest, rate: float) -> Finding:
    """Fault if the recipe's rate is one at which the loss explodes, or all that was learnt is lost."""
    if not math.isfinite(test.first_loss):
        return Finding(
            "learning rate",
            "fault",
            f"the loss or its gradient is not finite at a rate of {test.rates[0]:g} already; look for huge "
            "values in the pictures, training.l1 or training.l2",
        )
    said = f"training.learning_rate = {rate:g}"
    suggested = test.suggested_rate
    cure = "a hundredth of it" if suggested is None else f"{suggested:g}"
    if test.exploded_rate is not None and rate >= test.exploded_rate:
        return Finding(
            "learning rate",
            "fault",
            f"{said} is too high: the loss passes {EXPLODED:.0f} times the first at {test.exploded_rate:.2g} "
            f"already; take {cure}",
        )
    if test.diverged_rate is not None and rate >= test.diverged_rate:
        return Finding(
            "learning rate",
            "fault",
            f"{said} is too high: what the loss has fallen is lost again at {test.diverged_rate:.2g} "
            f"already; take {cure}",
        )
    if suggested is None:
        return Finding(
            "learning rate",
            "warning",
            f"at no rate does the loss fall clearly within {len(test.rates)} steps; of {said} no more is "
            "known than that the loss does not explode",
        )
    said = f"{said}, the range test suggests {suggested:g}"
    if rate > 10 * suggested:
        return Finding("learning rate", "warning", f"{said}: there the loss rises; take less")
    if rate < suggested / 100:
        return Finding("learning rate", "warning", f"{said}: it would learn slowly; take more")
    return Finding("learning rate", "ok", said)
