"""How far two answers of a classifier are apart."""

from collections.abc import Sequence

import numpy as np

from tombola.runtime.tasks.difference import Arrays, Difference

PROBABILITY_TOLERANCE = 1e-3
ATTENTION_TOLERANCE = 1e-2


class ClassifyYardstick:
    """Every probability within 1e-3, those of frames too; by class and not by rank, so that a tie may be
    broken otherwise. Attention, where there is one, within 1e-2."""

    counted = "probabilities"

    def count(self, answer: Arrays) -> int:
        return len(answer["probabilities"])

    def headline(self, answer: Arrays, labels: Sequence[str]) -> str:
        best = int(answer["probabilities"].argmax())
        return f"{labels[best]} {answer['probabilities'][best]:.3f}"

    def describe(self, answer: Arrays) -> str:
        return f"probabilities of the shape {list(answer['probabilities'].shape)}"

    def differences(
        self, found: Arrays, wanted: Arrays, factor: float = 1.0
    ) -> tuple[Difference, ...] | None:
        one, other = found["probabilities"], wanted["probabilities"]
        if one.shape != other.shape:
            return None
        largest = float(np.abs(one - other).max(initial=0.0))
        allowed = factor * PROBABILITY_TOLERANCE
        if "frame_probabilities" in wanted:
            rows, others = found["frame_probabilities"], wanted["frame_probabilities"]
            if rows.shape != others.shape:
                return None
            largest = max(largest, float(np.abs(rows - others).max(initial=0.0)))
        probabilities = Difference("probability_difference", "probabilities", largest, allowed)
        if "attention" not in wanted:
            return (probabilities,)
        if found["attention"].shape != wanted["attention"].shape:
            return None
        looked = float(np.abs(found["attention"] - wanted["attention"]).max(initial=0.0))
        return (
            probabilities,
            Difference("attention_difference", "attention", looked, factor * ATTENTION_TOLERANCE),
        )
