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
    mean of the first few. suggested_rate. falls: whether the loss fell at all. diverged_rate: where it had
    fallen and was lost again (batch norm keeps many networks from exploding), or None. exploded_rate: where
    the smooth loss passed EXPLODED times the first, or None."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth_losses: tuple[float, ...]
    first_loss: float
    suggested_rate: float
    falls: bool
    diverged_rate: float | None
    exploded_rate: float | None


def run_range_test(material: Material) -> RangeTest:
    """Train a fresh network by the recipe, its schedule apart, through all rates from LOWEST to HIGHEST, or
    to three times the recipe's own if that is more."""
    highest = max(HIGHEST, 3 * material.task.settings.learning_rate)
    trial = Trial(material.task, material.device)
    batches = itertools.cycle(material.training_batches(augmented=True))
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
    """Suggests a tenth of the rate where the loss is lowest; where it falls nowhere, a thirtieth of the
    highest rate that can be borne."""
    lowest = int(np.nanargmin(smooth))
    fall = first - smooth[lowest]
    falls = bool(fall > 0.05 * first + np.std(losses[: 2 * FIRST_STEPS]))
    lost = (rate for rate, loss in zip(rates, smooth, strict=True) if loss > first - (1 - LOST) * fall)
    diverged = next((rate for rate in lost if rate > rates[lowest]), None) if falls else None
    borne = exploded or rates[-1]
    suggested = min(rates[lowest], borne) / 10 if falls else borne / 30
    return RangeTest(
        tuple(rates),
        tuple(losses),
        tuple(smooth),
        first,
        float(f"{suggested:.2g}"),
        falls,
        diverged,
        exploded,
    )


def check_learning_rate(test: RangeTest, rate: float) -> Finding:
    """Fault if the recipe's rate is one at which the loss explodes, or all that was learnt is lost."""
    said = f"training.learning_rate = {rate:g}, the range test suggests {test.suggested_rate:g}"
    if test.exploded_rate is not None and rate >= test.exploded_rate:
        return Finding(
            "learning rate",
            "fault",
            f"training.learning_rate = {rate:g} is too high: the loss passes {EXPLODED:.0f} times the first "
            f"at {test.exploded_rate:.2g} already; take {test.suggested_rate:g}",
        )
    if test.diverged_rate is not None and rate >= test.diverged_rate:
        return Finding(
            "learning rate",
            "fault",
            f"training.learning_rate = {rate:g} is too high: what the loss has fallen is lost again at "
            f"{test.diverged_rate:.2g} already; take {test.suggested_rate:g}",
        )
    if not test.falls:
        return Finding(
            "learning rate",
            "warning",
            f"at no rate does the loss fall clearly within {len(test.rates)} steps; nothing is known of "
            f"training.learning_rate = {rate:g} but that it does not explode",
        )
    if rate > 10 * test.suggested_rate:
        return Finding("learning rate", "warning", f"{said}: there the loss rises; take less")
    if rate < test.suggested_rate / 100:
        return Finding("learning rate", "warning", f"{said}: it would learn slowly; take more")
    return Finding("learning rate", "ok", said)
