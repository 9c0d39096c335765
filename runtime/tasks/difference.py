"""How far two answers to one question are apart, and how that is measured for a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Difference:
    """The largest difference of one kind between two answers.

    key:     what the card calls it, "box_difference_px".
    things:  what differs, "boxes".
    value:   in `unit` ("px", or "" for shares of 1), NaN where an answer holds NaN.
    allowed: the largest value that another processor may cause.
    """

    key: str
    things: str
    value: float
    allowed: float
    unit: str = ""

    @property
    def is_small(self) -> bool:
        """False for NaN too."""
        return self.value <= self.allowed

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.things} by {self.value:.3g}{unit} (allowed is {self.allowed:g}{unit})"


class Yardstick(Protocol):
    """How the answers of one task are compared: by `tombola verify`, and before an export is written.

    counted: what an answer holds, in the plural: "boxes".
    """

    counted: str

    def count(self, answer: Arrays) -> int:
        """How many things an answer holds."""

    def headline(self, answer: Arrays, labels: Sequence[str]) -> str:
        """The answer in a word or two, for a column of a table."""

    def describe(self, answer: Arrays) -> str:
        """What it holds, in words, for answers that cannot be compared number by number."""

    def differences(
        self, found: Arrays, wanted: Arrays, factor: float = 1.0
    ) -> tuple[Difference, ...] | None:
        """How far apart two answers are, always the same kinds in the same order; None if they cannot be
        compared. factor: of what is allowed."""
