"""One training of a study: how it went, and what it left."""

from dataclasses import dataclass

from torch import Tensor

State = dict[str, Tensor]


@dataclass(frozen=True)
class Trial:
    """How one training went.

    steps, valid_losses, valid_accuracies: a value at each look. stop_step: where early stopping would have
    stopped, of the least validation loss; of the best validation accuracy where networks train one by one.
    stop_test, last_test: share of the test pictures that are right with the weights of then, and with the
    last. All shares 0 … 1.
    """

    steps: list[int]
    valid_losses: list[float]
    valid_accuracies: list[float]
    stop_step: int
    stop_test: float
    last_test: float

    @property
    def stop_valid(self) -> float:
        """Validation accuracy at the stop."""
        return self.valid_accuracies[self.steps.index(self.stop_step)]

    def reached(self, accuracy: float) -> int | None:
        """The first step looked at with this validation accuracy; None if it never had it."""
        return next(
            (s for s, one in zip(self.steps, self.valid_accuracies, strict=True) if one >= accuracy), None
        )


@dataclass(frozen=True)
class Trained:
    """A Trial, the last weights, and those after each step that was to be kept."""

    trial: Trial
    last: State
    early: dict[int, State]
