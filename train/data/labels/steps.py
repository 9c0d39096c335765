"""Which class a clip shows at which frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Steps:
    """From frame starts[i] on, until the next, a clip shows class labels[i]: int64 [k], starts[0] = 0."""

    starts: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, starts: Sequence[int], labels: Sequence[int]) -> "Steps":
        return cls(np.array(starts, np.int64), np.array(labels, np.int64))

    @classmethod
    def of_all(cls, label: int) -> "Steps":
        """One label at every frame."""
        return cls.of([0], [label])

    def at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The labels of the frames `places`."""
        return self.labels[np.searchsorted(self.starts, places, side="right") - 1]
