"""What a short training gets from the labels, and what is left of it under augmentation."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from tombola.train.doctor.checks.material import FEWEST_PAIRS, Material
from tombola.train.doctor.checks.pair_test import PairCount, count_pairs, total_loss
from tombola.train.doctor.checks.trial import Trial
from tombola.train.doctor.finding import Finding

FIRST_LOOK, MOST_STEPS = 25, 800
SECONDS = 120.0
JUDGE_SECONDS = 40.0
# Shares of pairs: enough to stop at, what a meaningful label would give at least, learnt by heart.
ENOUGH, MEANINGFUL, BY_HEART = 0.9, 0.7, 0.9
# Chances of an error: labels that say nothing pass for good at one of some looks; good ones for void.
SURE, SURELY_VOID = 0.002, 0.01
# With so many pairs, or more, a share of MEANINGFUL is surely no chance, and chance surely no such share.
TELLING_PAIRS = 52
# Share of the gain that augmentation leaves.
MOST_LOST, MUCH_LOST = 0.4, 0.6


@dataclass(frozen=True)
class Gain:
    """After `steps` steps: pairs that were held out, and whether those trained on were learnt by heart."""

    steps: int
    held_out: PairCount
    by_heart: bool

    @property
    def is_sure(self) -> bool:
        """Whether the labels say something about pictures that were not trained on."""
        return self.held_out.chance_at_least(0.5) < SURE

    @property
    def is_void(self) -> bool:
        """Whether what was learnt by heart says nothing about other pictures."""
        surely = self.held_out.chance_at_most(MEANINGFUL) < SURELY_VOID
        return self.by_heart and not self.is_of_few and surely

    @property
    def is_of_few(self) -> bool:
        """Whether the pairs are too few to tell labels that say nothing from labels hard to learn."""
        return self.held_out.pairs < TELLING_PAIRS


def measure_gain(
    material: Material,
    rate: float,
    *,
    augmented: bool,
    steps: int,
    enough: Callable[[Gain], bool],
    say: Callable[[str], None],
) -> Gain:
    """Train a fresh network by Adam at a rate, and look after FIRST_LOOK, twice, four times … as many steps.

    Ends after `steps`, when it is enough, when the time is over, or when the loss is not finite; at once if
    there are too few pairs to judge by.
    """
    held_out = material.held_out_pairs(augmented=augmented)
    if len(held_out) < FEWEST_PAIRS:
        return Gain(0, PairCount(0, len(held_out)), by_heart=False)
    trial = material.trial(plain=True, optimizer="adam")
    batches = material.training_batches(augmented=augmented, small=True)
    trained = material.trained_pairs(len(batches), augmented=augmented)[: len(held_out)]
    endless = itertools.cycle(batches)
    countdown = material.countdown("augmentation" if augmented else "labels", SECONDS)
    look, step, over, surest = FIRST_LOOK, 0, False, None
    while True:
        while step < min(look, steps) and not over:
            finite = math.isfinite(trial.step(next(endless), rate))
            step += 1
            over = not finite or countdown.is_over
            countdown.tell(step)
        new = _count(material, trial, held_out)
        # Where new pictures are right, those that were trained on need not be asked.
        by_heart = new.share >= BY_HEART or _count(material, trial, trained).share >= BY_HEART
        gain = Gain(step, new, by_heart)
        say(f"step {step}: {new.share:.0%} of {new.pairs} new pairs prefer their own labels")
        if surest is None or new.chance_at_least(0.5) <= surest.held_out.chance_at_least(0.5):
            surest = gain
        if over or step >= steps or enough(gain):
            # A later look may have had time for fewer pairs.
            return surest if surest.is_sure else gain
        look *= 2


def _count(material: Material, trial: Trial, pairs: list[Any]) -> PairCount:
    seconds = material.limit_s(JUDGE_SECONDS)
    return count_pairs(
        material.labelled, trial.network, pairs, trial.moment, seconds=seconds, fewest=FEWEST_PAIRS
    )


def measure_labels(material: Material, rate: float, say: Callable[[str], None]) -> Gain:
    """The gain from pictures as they are."""

    def enough(gain: Gain) -> bool:
        # Of few pictures, known by heart, no more is to be learnt.
        settled = gain.is_void or (gain.is_of_few and gain.by_heart)
        return settled or (gain.is_sure and gain.held_out.share >= ENOUGH)

    return measure_gain(material, rate, augmented=False, steps=MOST_STEPS, enough=enough, say=say)


def check_labels(gain: Gain) -> Finding:
    """Fault if what is learnt from labels holds for no other picture: as if they had been shuffled."""
    new = gain.held_out
    said = (
        f"after {gain.steps} steps {new.share:.0%} of {new.pairs} pairs of new pictures have a lower loss "
        "with their own labels than with swapped ones (chance is 50 %)"
    )
    if new.pairs < FEWEST_PAIRS:
        return Finding(
            "labels",
            "skipped",
            f"too few pictures to tell whether labels fit them: {new.pairs} pairs with different labels can "
            f"be held out, and {TELLING_PAIRS} are needed",
        )
    if gain.is_sure:
        return Finding("labels", "ok", f"the labels fit the pictures: {said}")
    if gain.is_of_few:
        return Finding(
            "labels",
            "skipped",
            f"too few pictures to tell whether labels fit them: {said}, which could be chance, and "
            f"{TELLING_PAIRS} pairs are needed; look at some pictures with their labels",
        )
    if not gain.by_heart and gain.steps < MOST_STEPS:
        return Finding(
            "labels",
            "skipped",
            f"too little time to tell whether labels fit pictures: {said}; raise --budget",
        )
    if gain.is_void:
        return Finding(
            "labels",
            "fault",
            f"{said}, though the trained ones are known by heart: the labels say nothing about the pictures; "
            "look whether they are shuffled against them",
        )
    return Finding(
        "labels",
        "warning",
        f"{said}: the labels say little about the pictures, or are hard to learn; look at some pictures with "
        "their labels",
    )


def check_augmentation(material: Material, rate: float, plain: Gain, say: Callable[[str], None]) -> Finding:
    """Fault if most of the gain is lost when the pictures, seen and new, are augmented."""
    if not _changes(material):
        return Finding("augmentation", "skipped", "the recipe augments nothing")
    if plain.held_out.pairs < FEWEST_PAIRS or not plain.is_sure:
        return Finding(
            "augmentation", "skipped", "without a gain from pictures as they are, none can be lost"
        )
    wanted = 0.5 + MUCH_LOST * (plain.held_out.share - 0.5)
    changed = measure_gain(
        material,
        rate,
        augmented=True,
        steps=4 * plain.steps,
        enough=lambda gain: gain.held_out.share >= wanted,
        say=say,
    )
    left = (changed.held_out.share - 0.5) / (plain.held_out.share - 0.5)
    said = (
        f"{changed.held_out.share:.0%} of pairs of augmented pictures have a lower loss with their own "
        f"labels, as they are {plain.held_out.share:.0%} (chance is 50 %)"
    )
    if left >= MUCH_LOST:
        return Finding("augmentation", "ok", said)
    # What is seen could be bad luck: is it likely if MOST_LOST is left?
    unlucky = changed.held_out.chance_at_most(0.5 + MOST_LOST * (plain.held_out.share - 0.5)) > 0.05
    if left < MOST_LOST and not unlucky:
        return Finding(
            "augmentation",
            "fault",
            f"{said}: augmentation destroys most of what the label can be known by; weaken it, one kind "
            "after another, until this is mended",
        )
    return Finding("augmentation", "warning", f"{said}: augmentation costs much of it; is it too strong?")


def _changes(material: Material) -> bool:
    """Whether augmentation does anything to the first batch that a network notices."""
    task = material.task
    network = task.build_network().to(material.device).eval()
    batches = (material.first_batch(augmented=on) for on in (False, True))
    with torch.no_grad():
        plain, changed = (total_loss(task, network, batch, material.first_moment) for batch in batches)
    return plain != changed
