"""A number that was measured several times."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n - 1) over seeds; NaN where there are too few."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        known = list(values)
        return cls(
            statistics.fmean(known) if known else math.nan,
            statistics.stdev(known) if len(known) > 1 else math.nan,
        )

    def told(self, digits: int, *, sign: bool = False) -> str:
        """ "97.94 ± 0.08"; "+0.12 ± 0.08" with `sign`."""
        if math.isnan(self.mean):
            return "–"
        mean = f"{self.mean:{'+' if sign else ''}.{digits}f}"
        return mean if math.isnan(self.sd) else f"{mean} ± {self.sd:.{digits}f}"
