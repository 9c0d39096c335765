"""A task so small that its numbers can be worked out by hand."""
# ruff: noqa: ARG002  # a toy task is given more than it needs

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from tombola.train.metrics.score import Score
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import Exhibit, Tell, silent


class Numbers(Dataset[int]):
    def __getitem__(self, request: int) -> int:
        return request


class NumberTask:
    """Pictures are the numbers 0, 1, 2, …; a batch is a float [B]; the network and its loss are given."""

    name = "numbers"
    score = Score("none", "", higher_is_better=True)
    seed = 0
    widths: Mapping[str, int] = {}  # never written

    def __init__(
        self, network: nn.Module | None = None, count: int = 40, batch_size: int = 4, **settings: Any
    ) -> None:
        self.settings = TrainingSettings(batch_size=batch_size, **settings)
        self.network = network or nn.Linear(1, 1)
        self.count = count

    def check_shares(self) -> None:
        return None

    def check_test(self) -> None:
        return None

    def recipe_toml(self) -> str:
        return ""

    def lineage(self) -> dict[str, Any]:
        return {}

    def build_network(self, *, start: bool = True) -> nn.Module:
        return copy.deepcopy(self.network)

    def prepare(self, network: nn.Module, moment: Moment) -> None:
        network.train()

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(network.parameters()), "rate": 1.0, "weight_decay": 0.0}]

    def plan_epoch(self, epoch: int) -> list[list[Any]]:
        numbers, size = list(range(self.count)), self.settings.batch_size
        return [numbers[start : start + size] for start in range(0, self.count - size + 1, size)]

    def examples(self, *, augmented: bool = True) -> Dataset[Any]:
        return Numbers()

    def collate(self, examples: Sequence[Any]) -> Tensor:
        return torch.tensor(examples, dtype=torch.float32)

    def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
        return {"square": network(batch[:, None]).square().mean()}

    def evaluate(self, network: nn.Module, tell: Tell = silent) -> dict[str, float]:
        return {}

    def answer_widths(self, network: nn.Module) -> tuple[int, int]:
        return 1, 1

    def expected_losses(self) -> Mapping[str, float]:
        return {"square": 2.0, "unseen": 1.0}

    def unused_classes(self) -> Sequence[str]:
        return ()

    def same_labels(self, batch: Any) -> bool:
        return bool((batch == batch[0]).all())

    def mismatched(self, batch: Any) -> Any:
        return batch.roll(1)

    def right_share(self, network: nn.Module, batch: Any) -> float:
        return 1.0

    def exhibits(self, network: nn.Module, tell: Tell = silent) -> Sequence[Exhibit]:
        return ()
