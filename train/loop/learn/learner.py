"""How a network learns, apart from when: what the loop asks of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor, nn

from tombola.errors import TrainingError
from tombola.train.tasks.moment import Moment


class NotFinite(TrainingError):  # noqa: N818  # the loop adds what it knows and raises a TrainingError
    """The loss or its gradient is NaN or infinite; nothing was changed by the step."""


@dataclass(frozen=True)
class Weights:
    """A network's state dict, and whether it is as trained or an average over steps."""

    kind: Literal["raw", "averaged"]
    tensors: Mapping[str, Tensor]


class Learner(Protocol):
    """A network and whatever changes it.

    The loop decides when: it seeds the noise and calls `step` with each batch, `end_epoch` after the last of
    an epoch and before the epoch is judged, and `state` whenever it saves.
    """

    @property
    def network(self) -> nn.Module:
        """What is watched and judged, without a wrapper around it."""

    def step(self, batch: Any, moment: Moment) -> Mapping[str, float]:
        """Learn from this process's share of a batch; the parts of the loss before. Raises NotFinite."""

    def end_epoch(self) -> None:
        """Do what is done once an epoch."""

    def raw(self) -> Weights:
        """The weights as they are."""

    def deployed(self) -> Weights:
        """The weights that are judged and exported."""

    def state(self) -> dict[str, Tensor]:
        """All that `restore` needs to go on as if nothing had happened."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`; KeyError, TypeError or RuntimeError if it is another learner's."""
