"""The learning-rate range test (Smith 2017, section 3.3): the rate grows, step by step, until the loss
explodes."""

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.checks.trial import Trial
from tombola.train.doctor.finding import Finding
from tombola.train.loop.watch import EXPLODED

LOWEST, HIGHEST = 1e-6, 10.0
MOST_STEPS, FEWEST_STEPS = 100, 40
SECONDS = 30.0
SMOOTHING = 0.7
# Share of the fall that is lost again where a training is said to diverge, and to do worse than it could.
LOST, WORSE = 0.9, 0.3
# Where this share of the fall is done the rate has been large enough; what part of it to train with.
DONE, PRUDENT = 0.95, 1 / 4
# Share of the first loss by which it must fall somewhere: less is a flat curve, which suggests no rate.
CLEAR_FALL = 0.1
# Share of the first loss below which the pictures are known by heart; of an ignorant network's below which
# they were known before the test.
BY_HEART, KNOWN = 0.1, 0.1
# Steps at one rate, and the share of the first loss above which a network has then learnt little.
HOLD_STEPS, UNLEARNT = 40, 0.5


@dataclass(frozen=True)
class RangeTest:
    """rates: log-spaced, rising. losses: raw, one a rate. smooth_losses: first_loss and the running mean of
    how far each batch's loss is from its own first. first_loss: the mean before anything is learnt.
    suggested_rate: PRUDENT times the rate at which DONE of the fall was reached, or None if it fell nowhere.
    diverged_rate: where it had fallen and rose again to where it began (batch norm keeps many networks from
    exploding), or the recipe's own, if a network that begins there learns little; or None. exploded_rate:
    where it passed `limit`, or None. ignorant_loss: that of a network that knows nothing."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth_losses: tuple[float, ...]
    first_loss: float
    suggested_rate: float | None
    diverged_rate: float | None
    exploded_rate: float | None
    ignorant_loss: float = 0.0

    @property
    def limit(self) -> float:
        """The loss beyond which it has exploded."""
        return _limit(self.first_loss, self.ignorant_loss)

    @property
    def knows(self) -> bool:
        """Whether the network knew the pictures before the test."""
        return self.first_loss < KNOWN * self.ignorant_loss


def run_range_test(material: Material) -> RangeTest | None:
    """Train a fresh network by the recipe, its schedule apart, through all rates from LOWEST to HIGHEST, or
    to three times the recipe's own if that is more; None where FEWEST_STEPS do not fit into the budget."""
    own_rate = material.task.settings.learning_rate
    trial = material.trial()
    batches = material.training_batches(augmented=False)
    steps = _affordable_steps(material, trial, batches[0])
    if steps is None:
        return None
    countdown = material.countdown("learning rate", SECONDS)
    batches = batches[:steps]
    firsts = [sum(trial.first_losses(batch).values()) for batch in batches]
    first, ignorant = float(np.mean(firsts)), sum(material.task.expected_losses().values())
    limit = _limit(first, ignorant)
    rates = np.geomspace(LOWEST, max(HIGHEST, 3 * own_rate), steps).tolist()
    losses: list[float] = []
    smooth: list[float] = []
    exploded, rise = None, 0.0
    for rate, batch, before in zip(rates, itertools.cycle(batches), itertools.cycle(firsts), strict=False):
        losses.append(trial.step(batch, rate))
        countdown.tell(len(losses))
        rise = SMOOTHING * rise + (1 - SMOOTHING) * (losses[-1] - before)
        smooth.append(first + rise)
        # "not (... <= ...)", so that NaN has exploded too.
        if not smooth[-1] <= limit:
            exploded = rate
            break
    learnt = (rate for rate, loss in zip(rates, smooth, strict=False) if loss < BY_HEART * first)
    unseen = next(learnt, math.inf) < own_rate < (exploded or math.inf)
    kept = _kept_loss(material, batches, firsts, own_rate, limit) if unseen else 0.0
    if kept > limit:
        exploded = own_rate
    test = _read(
        RangeTest(
            tuple(rates[: len(smooth)]), tuple(losses), tuple(smooth), first, None, None, exploded, ignorant
        )
    )
    return replace(test, diverged_rate=own_rate) if first * UNLEARNT < kept <= limit else test


def _limit(first_loss: float, ignorant_loss: float) -> float:
    # A network that knew much does worse than before, and has not exploded until it knows nothing.
    return max(EXPLODED * first_loss, ignorant_loss)


def _affordable_steps(material: Material, trial: Trial, batch: Any) -> int | None:
    trial.first_losses(batch)  # what only a first call does
    begin = time.monotonic()
    trial.step(batch, LOWEST)
    seconds = max(time.monotonic() - begin, 1e-6)
    if FEWEST_STEPS * seconds > material.total.left_s:
        return None
    return max(FEWEST_STEPS, min(MOST_STEPS, round(material.limit_s(SECONDS) / seconds)))


def _kept_loss(
    material: Material, batches: Sequence[Any], firsts: Sequence[float], rate: float, limit: float
) -> float:
    """Mean loss of a fresh network at the rate, once it is reached by half of HOLD_STEPS; infinite if it has
    exploded. What is known by heart when the range test gets there makes no loss that could rise."""
    trial, first, rise = material.trial(), float(np.mean(firsts)), 0.0
    steps = itertools.islice(zip(itertools.cycle(batches), itertools.cycle(firsts), strict=False), HOLD_STEPS)
    rises = []
    for step, (batch, before) in enumerate(steps):
        rises.append(trial.step(batch, rate * min(1.0, 2 * (step + 1) / HOLD_STEPS)) - before)
        rise = SMOOTHING * rise + (1 - SMOOTHING) * rises[-1]
        if not first + rise <= limit:
            return math.inf
    return first + float(np.mean(rises[HOLD_STEPS // 2 :]))


def _read(test: RangeTest) -> RangeTest:
    """The test with what its losses say of rates."""
    smooth, first = test.smooth_losses, test.first_loss
    if not any(map(math.isfinite, smooth)):
        return replace(test, first_loss=math.nan)  # the loss may be finite and its gradient not
    lowest = int(np.nanargmin(smooth))
    fall = first - smooth[lowest]
    noise = np.std(np.diff(smooth[: max(2, len(smooth) // 10)]))
    if test.knows or not fall > CLEAR_FALL * first + 3 * noise:
        return test
    done = next(index for index, loss in enumerate(smooth) if loss <= first - DONE * fall)
    lost = first - (1 - LOST) * fall
    rises = zip(test.rates[lowest:], smooth[lowest:], strict=True)
    return replace(
        test,
        suggested_rate=float(f"{PRUDENT * test.rates[done]:.2g}"),
        diverged_rate=next((rate for rate, loss in rises if loss > lost), None),
    )


def check_learning_rate(test: RangeTest | None, rate: float) -> Finding:
    """Fault if the recipe's rate is one at which the loss explodes, or all that was learnt is lost."""
    if test is None:
        said = f"{FEWEST_STEPS} steps do not fit into the time that is left; raise --budget"
        return Finding("learning rate", "skipped", said)
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
            f"{said} is too high: the loss passes {_limit_in_words(test)} at {test.exploded_rate:.2g} "
            f"already; take {cure}",
        )
    if test.diverged_rate is not None and rate >= test.diverged_rate:
        return Finding(
            "learning rate",
            "fault",
            f"{said} is too high: what the loss has fallen is lost again at {test.diverged_rate:.2g} "
            f"already; take {cure}",
        )
    if test.knows and _loss_at(test, rate) > EXPLODED * test.first_loss:
        return Finding(
            "learning rate",
            "warning",
            f"{said}: there the loss of a network that knows these pictures already rises to "
            f"{_loss_at(test, rate):.3g} from {test.first_loss:.3g}; take less",
        )
    if test.knows:
        return Finding(
            "learning rate",
            "ok",
            f"{said}: there the loss does not explode; the network knows these pictures already (its first "
            f"loss is {test.first_loss:.3g}), so no more can be told",
        )
    if suggested is None:
        return Finding(
            "learning rate",
            "warning",
            f"at no rate does the loss fall clearly within {len(test.rates)} steps; of {said} no more is "
            "known than that the loss does not explode",
        )
    said = f"{said}, the range test suggests {suggested:g}"
    lost = _lost_share(test, rate)
    if lost > WORSE:
        return Finding(
            "learning rate",
            "warning",
            f"{said}: there the loss rises again, by {lost:.0%} of what it had fallen; take less",
        )
    if rate > 100 * suggested:
        return Finding("learning rate", "warning", f"{said}: it is far above what the loss needs; take less")
    if rate < suggested / 100:
        return Finding("learning rate", "warning", f"{said}: it would learn slowly; take more")
    return Finding("learning rate", "ok", said)


def _lost_share(test: RangeTest, rate: float) -> float:
    """Share of the fall that is lost again at a rate; 0 up to the rate where the loss is lowest."""
    lowest = int(np.nanargmin(test.smooth_losses))
    if rate <= test.rates[lowest]:
        return 0.0
    lost = _loss_at(test, rate) - test.smooth_losses[lowest]
    return min(1.0, lost / (test.first_loss - test.smooth_losses[lowest]))


def _loss_at(test: RangeTest, rate: float) -> float:
    """The smooth loss at a rate; beyond the last one that is finite, infinite."""
    pairs = zip(test.rates, test.smooth_losses, strict=True)
    finite = [(math.log(one), loss) for one, loss in pairs if math.isfinite(loss)]
    if math.log(rate) > finite[-1][0] and len(finite) < len(test.rates):
        return math.inf
    return float(np.interp(math.log(rate), [one for one, _ in finite], [loss for _, loss in finite]))


def _limit_in_words(test: RangeTest) -> str:
    if test.limit > EXPLODED * test.first_loss:
        return f"{test.limit:.3g}, that of a network that knows nothing,"
    return f"{EXPLODED:.0f} times the first"
