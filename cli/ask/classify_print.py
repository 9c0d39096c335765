"""What `tombola classify` tells of classes: tables for people, JSON for programs."""

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tombola.cli.table import GAP, counted, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.tasks.classify.answer import Classification


@dataclass(frozen=True)
class ClassifyTelling:
    """The best class, and a table of the `top` best where more than one is asked for."""

    top: int

    def headline(self, classification: "Classification") -> str:
        """The best class and its probability; of a clip how many frames were looked at."""
        best = f"{classification.name} {classification.probability:.3f}"
        seen = classification.places
        return best if seen is None else f"{best} over {counted(len(seen), 'frame')}"

    def lines(self, classification: "Classification", columns: int | None) -> list[str]:
        """A row for each class, best first; of a clip whose frames have names, one for each stretch of
        frames of one name."""
        if classification.places is not None and classification.frames:
            rows = [
                (f"{places[0]} to {places[-1]}" if len(places) > 1 else str(places[0]), name)
                for name, places in _stretches(classification)
            ]
            return table(("frames", "name"), rows, "<<", indent=GAP, columns=columns)
        if self.top == 1:
            return []
        rows = [(one.name, f"{one.probability:.3f}") for one in classification.top(self.top)]
        return table(("name", "probability"), rows, "<>", indent=GAP, columns=columns)

    def facts(self, classification: "Classification") -> dict[str, Any]:
        """What `Classification.to_dict` gives of the `top` best classes."""
        return classification.to_dict(self.top)

    def draw(
        self, image_rgb_u8: "NDArray[np.uint8]", classification: "Classification"
    ) -> "NDArray[np.uint8]":
        """A copy with the best class on it, of larger pixels where the picture is too small for letters."""
        from tombola.runtime.tasks.classify.draw import enlarge_for_name

        return classification.draw(enlarge_for_name(image_rgb_u8, classification))

    def tally(self) -> "ClassifyTally":
        """An empty count."""
        return ClassifyTally()


def _stretches(classification: "Classification") -> list[tuple[str, list[int]]]:
    """Names of frames that follow each other, and which frames they are of."""
    assert classification.places is not None
    named = zip((frame.name for frame in classification.frames), classification.places.tolist(), strict=True)
    return [(name, [place for _, place in own]) for name, own in groupby(named, key=lambda pair: pair[0])]


class ClassifyTally:
    """For each name in how many frames it was the best, and how probable at most."""

    def __init__(self) -> None:
        self._frames_of: dict[str, int] = {}
        self._best_probability: dict[str, float] = {}

    def add(self, classification: "Classification") -> None:
        """Count one frame."""
        best = classification.best
        self._frames_of[best.name] = self._frames_of.get(best.name, 0) + 1
        self._best_probability[best.name] = max(self._best_probability.get(best.name, 0.0), best.probability)

    def lines(self, columns: int | None) -> list[str]:
        """A row for each name, the most frequent first."""
        names = sorted(self._frames_of, key=lambda name: (-self._frames_of[name], name))
        rows = [(name, str(self._frames_of[name]), f"{self._best_probability[name]:.3f}") for name in names]
        header = ("name", "frames", "best probability")
        return table(header, rows, "<>>", indent=GAP, columns=columns) if rows else []
