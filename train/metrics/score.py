"""A score: what a number that judges a network is called, what it is measured in, and which way is better."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """unit: "share" for 0..1, told in percent; any other, such as "nats", is told as it is, "" is none."""

    name: str
    unit: str
    higher_is_better: bool

    @property
    def key(self) -> str:
        """Its column in metrics.csv."""
        return f"valid_{self.name}"

    @property
    def told_unit(self) -> str:
        """What stands behind a value, for people."""
        return "%" if self.unit == "share" else self.unit

    def number(self, value: float) -> float:
        """The value in its told unit."""
        return 100 * value if self.unit == "share" else value

    def digits(self, value: float) -> str:
        """The value for people, without its unit, as a table has it: "63.21", "1.234"."""
        return percent(value, 2) if self.unit == "share" else f"{value:.4g}"

    def tell(self, value: float) -> str:
        """The value for people: "63.21 %", "1.234 nats"."""
        return f"{self.digits(value)} {self.told_unit}".rstrip()

    def rank(self, value: float, loss: float = math.inf) -> tuple[float, float]:
        """What to sort by, best first; of two equal values that of the smaller loss is better."""
        return (-value if self.higher_is_better else value, loss)

    def best(self, rows: Iterable[Mapping[str, float]]) -> Mapping[str, float] | None:
        """The best of the rows of metrics.csv, the first of equals; None if none of them has the score."""
        scored = [row for row in rows if self.key in row]
        return min(scored, key=lambda row: self.rank(row[self.key], row.get("loss", math.inf)), default=None)

    def is_stale(self, rows: Sequence[Mapping[str, float]], patience: int) -> bool:
        """Whether the rows of metrics.csv saw nothing better for `patience` epochs; 0 waits for ever."""
        best = self.best(rows)
        last_judged = max((row["epoch"] for row in rows if self.key in row), default=0)
        return patience > 0 and best is not None and last_judged - best["epoch"] >= patience


def percent(share: float, digits: int = 1) -> str:
    """Write a share of 0..1 as 0.0..100.0, and NaN as a dash."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f}"
