"""How far two answers of a detector are apart."""

from collections.abc import Sequence

import numpy as np

from tombola.runtime.tasks.difference import Arrays, Difference

BOX_TOLERANCE_PX = 0.1
SCORE_TOLERANCE = 1e-3


class DetectYardstick:
    """The same count and labels, boxes within 0.1 px of the picture, scores within 1e-3."""

    counted = "boxes"

    def count(self, answer: Arrays) -> int:
        return len(answer["labels"])

    def headline(self, answer: Arrays, labels: Sequence[str]) -> str:  # noqa: ARG002
        return str(self.count(answer))

    def describe(self, answer: Arrays) -> str:
        return f"{self.count(answer)} boxes with labels {sorted(set(answer['labels'].tolist()))}"

    def differences(
        self, found: Arrays, wanted: Arrays, factor: float = 1.0
    ) -> tuple[Difference, ...] | None:
        """The largest ones of answers paired box by box, not by rank: of two scores that are equal but for
        rounding, either may come first."""
        if sorted(found["labels"].tolist()) != sorted(wanted["labels"].tolist()):
            return None
        unused = np.ones(len(found["labels"]), bool)
        order = []
        for box, label in zip(wanted["boxes"], wanted["labels"], strict=True):
            distance = np.abs(found["boxes"] - box).max(axis=1)
            distance[~unused | (found["labels"] != label)] = np.inf
            order.append(int(distance.argmin()))
            unused[order[-1]] = False
        boxes = float(np.abs(found["boxes"][order] - wanted["boxes"]).max(initial=0.0))
        scores = float(np.abs(found["scores"][order] - wanted["scores"]).max(initial=0.0))
        return (
            Difference("box_difference_px", "boxes", boxes, factor * BOX_TOLERANCE_PX, "px"),
            Difference("score_difference", "scores", scores, factor * SCORE_TOLERANCE),
        )
