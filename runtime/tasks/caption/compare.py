"""How far two answers of a captioner are apart."""

from collections.abc import Sequence

import numpy as np

from tombola.runtime.tasks.caption.signature import END
from tombola.runtime.tasks.difference import Arrays, Difference

SCORE_TOLERANCE = 1e-3
ATTENTION_TOLERANCE = 1e-2


class CaptionYardstick:
    """The same words in the same order, scores within 1e-3, attention within 1e-2."""

    counted = "words"

    def count(self, answer: Arrays) -> int:
        return int((answer["tokens"] != END).sum())

    def headline(self, answer: Arrays, labels: Sequence[str]) -> str:  # noqa: ARG002
        return f"{int((answer['tokens'][0] != END).sum())} words, {answer['scores'][0]:.3f}"

    def describe(self, answer: Arrays) -> str:
        return f"the tokens {answer['tokens'].tolist()}"

    def differences(
        self, found: Arrays, wanted: Arrays, factor: float = 1.0
    ) -> tuple[Difference, ...] | None:
        if not np.array_equal(found["tokens"], wanted["tokens"]):
            return None
        if found["attention"].shape != wanted["attention"].shape:
            return None
        scores, attention = (
            float(np.abs(found[name] - wanted[name]).max(initial=0.0)) for name in ("scores", "attention")
        )
        return (
            Difference("score_difference", "scores", scores, factor * SCORE_TOLERANCE),
            Difference("attention_difference", "attention", attention, factor * ATTENTION_TOLERANCE),
        )
