"""Can the network learn a handful of pictures by heart?"""

import math
from collections.abc import Callable

import torch

from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.finding import Finding

RATES = (1e-3, 1e-2, 1e-4)
STEPS = 300
LOOK_EVERY = 10
SECONDS = 60.0


def check_handful(material: Material, say: Callable[[str], None]) -> tuple[Finding, float]:
    """Adam at three learning rates, nothing regularised or augmented, until all labels are answered rightly.

    The recipe's optimiser and rate are left out of it: a fault of theirs is another check's. Returns the rate
    that did best, too.
    """
    batch = material.handful()
    countdown = material.countdown("handful", SECONDS)
    best, best_rate, steps = 0.0, RATES[0], 0
    for rate in RATES:
        trial = material.trial(plain=True, optimizer="adam")
        for step in range(1, STEPS + 1):
            if not math.isfinite(trial.step(batch, rate)):
                break
            steps += 1
            late = countdown.is_over
            countdown.tell(steps)
            if step % LOOK_EVERY and not late:
                continue
            with torch.no_grad():
                share = material.labelled.right_share(trial.network.eval(), batch)
            if share > best:
                best, best_rate = share, rate
            if best == 1.0:
                said = f"the first pictures are learnt by heart, 100 % right after {step} steps"
                return Finding("handful", "ok", said), best_rate
            if late:
                said = (
                    f"too little time to tell: the first pictures are {best:.0%} right after {steps} steps, "
                    "and 100 % would show that the network can learn them; raise --budget"
                )
                return Finding("handful", "skipped", said), best_rate
        say(f"handful: {best:.0%} right at rate {rate:g} or one before")
    said = (
        f"the network cannot learn the first pictures by heart: {best:.0%} right after {steps} steps without "
        "regularisation; look for labels that contradict each other, a network that is too small or too "
        "deep, or a loss that does not say what is asked"
    )
    return Finding("handful", "fault", said), best_rate
