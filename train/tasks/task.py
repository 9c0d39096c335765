"""What the training loop asks of a task; it knows no task by name."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn
from torch.utils.data import Dataset

from tombola.train.recipe import TrainingSettings


class Task(Protocol):
    """A network, batches, a loss and a score.

    score_name is the key of `evaluate` that decides which weights are best; higher is better.
    """

    settings: TrainingSettings
    seed: int
    score_name: str

    def recipe_toml(self) -> str:
        """The resolved recipe."""

    def lineage(self) -> dict[str, Any]:
        """What the first weights descend from, JSON-ready."""

    def build_network(self) -> nn.Module:
        """The network with its first weights; the same at every call."""

    def prepare(self, network: nn.Module) -> None:
        """Put the network into training mode, frozen parts excepted."""

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Groups for the optimiser: params, rate (factor on the learning rate) and weight_decay."""

    def plan_epoch(self, epoch: int) -> list[list[Any]]:
        """The epoch's global batches as lists of requests; a function of the seed and the epoch alone."""

    def examples(self) -> Dataset[Any]:
        """Maps a request to an example; runs in worker processes."""

    def collate(self, examples: Sequence[Any]) -> Any:
        """Examples -> a batch."""

    def losses(self, network: nn.Module, batch: Any) -> Mapping[str, Tensor]:
        """Parts of the loss, each the mean over the batch's pictures; their sum is minimised."""

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Scores on the validation pictures; empty if there are none."""
