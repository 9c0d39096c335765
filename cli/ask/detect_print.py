"""What `tombola detect` tells of boxes: tables for people, JSON for programs."""

from typing import TYPE_CHECKING, Any

from tombola.cli.table import GAP, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.tasks.detect.answer import Detections


class DetectTelling:
    """A count, and a table of boxes in the picture's pixels."""

    def headline(self, detections: "Detections") -> str:
        """How many things were found."""
        return f"{len(detections)} found"

    def lines(self, detections: "Detections", columns: int | None) -> list[str]:
        """A row for each box, best first."""
        rows = [
            (one.name, f"{one.score:.2f}", *(f"{side:.0f}" for side in one.box_xyxy)) for one in detections
        ]
        header = ("name", "score", "x1", "y1", "x2", "y2")
        return table(header, rows, "<>>>>>", indent=GAP, columns=columns) if rows else []

    def facts(self, detections: "Detections") -> dict[str, Any]:
        """What `Detections.to_dict` gives."""
        return detections.to_dict()

    def draw(self, image_rgb_u8: "NDArray[np.uint8]", detections: "Detections") -> "NDArray[np.uint8]":
        """A copy with the boxes on it."""
        return detections.draw(image_rgb_u8)

    def tally(self) -> "DetectTally":
        """An empty count."""
        return DetectTally()


class DetectTally:
    """For each name in how many frames, how often at once and how well it was seen."""

    def __init__(self) -> None:
        self._frames_with: dict[str, int] = {}
        self._most_at_once: dict[str, int] = {}
        self._best_score: dict[str, float] = {}

    def add(self, detections: "Detections") -> None:
        """Count one frame."""
        for name in dict.fromkeys(detections.names):
            scores = [found.score for found in detections if found.name == name]
            self._frames_with[name] = self._frames_with.get(name, 0) + 1
            self._most_at_once[name] = max(self._most_at_once.get(name, 0), len(scores))
            self._best_score[name] = max(self._best_score.get(name, 0.0), *scores)

    def lines(self, columns: int | None) -> list[str]:
        """A row for each name, the most frequent first."""
        names = sorted(self._frames_with, key=lambda name: (-self._frames_with[name], name))
        rows = [
            (
                name,
                str(self._frames_with[name]),
                str(self._most_at_once[name]),
                f"{self._best_score[name]:.2f}",
            )
            for name in names
        ]
        header = ("name", "frames", "most at once", "best score")
        return table(header, rows, "<>>>", indent=GAP, columns=columns) if rows else []
