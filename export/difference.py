"""How far two answers to one picture are apart, and how that is measured for a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

Answer = Mapping[str, NDArray[Any]]
Options = Mapping[str, float | int]


@dataclass(frozen=True)
class Difference:
    """The largest difference of one kind between two answers.

    key:     what the card calls it, "box_difference_px".
    things:  what differs, "boxes".
    value:   in `unit` ("px", or "" for shares of 1), NaN where an answer holds NaN.
    allowed: the largest value that a file may have.
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


class Yardstick(Protocol):
    """How the answers of one task are compared.

    task:      a key of the contract's signatures.
    counted:   what an answer holds, in the plural: "boxes".
    breaks_ties: whether the answer holds choices, such as which box comes first, that rounding can tip.
    """

    task: str
    counted: str
    breaks_ties: bool

    def options(self, defaults: Options) -> Sequence[Options]:
        """What the optional inputs are at each look at a picture."""

    def count(self, answer: Answer) -> int:
        """How many things an answer holds."""

    def describe(self, answer: Answer) -> str:
        """What it holds, in words, for answers that cannot be compared number by number."""

    def differences(self, found: Answer, wanted: Answer) -> tuple[Difference, ...] | None:
        """How far apart two answers are, always the same kinds in the same order; None if they cannot be
        compared."""
