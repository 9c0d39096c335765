"""How far two answers of a detector are apart."""

from collections.abc import Sequence

import numpy as np

from tombola.export.difference import Answer, Difference, Options

BOX_TOLERANCE_PX = 0.1
SCORE_TOLERANCE = 1e-3
LOW_SCORE = 0.05


class DetectYardstick:
    """The same count and labels, boxes within 0.1 px of the picture, scores within 1e-3."""

    task = "detect"
    counted = "boxes"
    breaks_ties = True

    def options(self, defaults: Options) -> Sequence[Options]:
        """The default thresholds, and a low score threshold at which hundreds of boxes meet."""
        return (defaults, {**defaults, "score_threshold": LOW_SCORE, "max_detections": 1000})

    def count(self, answer: Answer) -> int:
        return len(answer["labels"])

    def describe(self, answer: Answer) -> str:
        return f"{len(answer['labels'])} objects with labels {sorted(set(answer['labels'].tolist()))}"

    def differences(self, found: Answer, wanted: Answer) -> tuple[Difference, ...] | None:
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
        boxes = np.abs(found["boxes"][order] - wanted["boxes"])
        scores = np.abs(found["scores"][order] - wanted["scores"])
        return (
            Difference("box_difference_px", "boxes", float(boxes.max(initial=0.0)), BOX_TOLERANCE_PX, "px"),
            Difference("score_difference", "scores", float(scores.max(initial=0.0)), SCORE_TOLERANCE),
        )
