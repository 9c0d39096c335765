"""How far two answers of a classifier are apart."""

from collections.abc import Sequence

import numpy as np

from tombola.export.difference import Answer, Difference, Options

PROBABILITY_TOLERANCE = 1e-4


class ClassifyYardstick:
    """Every probability within 1e-4."""

    task = "classify"
    counted = "probabilities"
    # Probabilities move no further than rounding moves them; nothing is chosen.
    breaks_ties = False

    def options(self, defaults: Options) -> Sequence[Options]:
        return (defaults,)

    def count(self, answer: Answer) -> int:
        return len(answer["probabilities"])

    def describe(self, answer: Answer) -> str:
        return f"probabilities of the shape {list(answer['probabilities'].shape)}"

    def differences(self, found: Answer, wanted: Answer) -> tuple[Difference, ...] | None:
        one, other = found["probabilities"], wanted["probabilities"]
        if one.shape != other.shape:
            return None
        largest = float(np.abs(one - other).max(initial=0.0))
        return (Difference("probability_difference", "probabilities", largest, PROBABILITY_TOLERANCE),)
