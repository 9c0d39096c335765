"""What a family of generators learns by, as the task asks for it."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from tombola.train.tasks.moment import Moment


class Objective(Protocol):
    """turns: how often in a step some part learns. noise_size: normal numbers that a picture of a batch
    brings along."""

    @property
    def turns(self) -> int: ...

    @property
    def noise_size(self) -> int: ...

    def prepare(self, network: nn.Module, turn: int) -> None:
        """Let those parts learn whose turn it is."""

    def group(self, name: str) -> dict[str, Any]:
        """What the optimiser is told of the parameter `name` beside its decay: rate, and more as torch takes
        it."""

    def losses(
        self, network: nn.Module, images: Tensor, labels: Tensor | None, noise: Tensor, moment: Moment
    ) -> Mapping[str, Tensor]:
        """Parts of the loss, each float [], the mean over pictures float [B, c, h, w] of 0..1."""

    def scores(
        self, network: nn.Module, images: Tensor, labels: Tensor | None, noise: Tensor
    ) -> Mapping[str, Tensor]:
        """Figures of each picture, float [B]; "loss" is what the best weights are chosen by. None where a
        picture tells nothing."""


class AllAtOnce:
    """An objective by which all of a network learns at every step, at one rate."""

    turns = 1

    def prepare(self, network: nn.Module, turn: int) -> None:
        """Nothing has to wait for its turn."""

    def group(self, name: str) -> dict[str, Any]:  # noqa: ARG002
        return {"rate": 1.0}
