"""Learning in closed form: the mean and covariance of all pictures say what the weights are."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from tombola.train.loop.learn.learner import Weights
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import MomentsTask


class MomentsLearner:
    """One network that is fitted at the end of each epoch to what it has seen since the first."""

    def __init__(self, task: MomentsTask, fabric: Fabric) -> None:
        self.task = task
        self._network: nn.Module = fabric.to_device(task.build_network())
        self._count = torch.zeros((), dtype=torch.float64)
        self._sum = torch.zeros(0, dtype=torch.float64)
        self._products = torch.zeros((0, 0), dtype=torch.float64)

    @property
    def network(self) -> nn.Module:
        return self._network

    def step(self, batch: Any, moment: Moment) -> dict[str, float]:  # noqa: ARG002
        """Take the batch in; no loss is minimised step by step."""
        rows = self.task.vectors(batch).double().cpu()
        if not len(self._sum):
            self._sum, self._products = (rows.new_zeros((rows.shape[1],) * n) for n in (1, 2))
        self._count += len(rows)
        self._sum += rows.sum(0)
        self._products += rows.T @ rows
        return {}

    def end_epoch(self) -> None:
        """Fit the network."""
        mean = self._sum / self._count
        self.task.fit(self._network, mean, self._products / self._count - torch.outer(mean, mean))

    def raw(self) -> Weights:
        return Weights("raw", self._network.state_dict())

    def deployed(self) -> Weights:
        return self.raw()

    def state(self) -> dict[str, Tensor]:
        moments = {"count": self._count, "sum": self._sum, "products": self._products}
        return moments | {f"network.{name}": t for name, t in self._network.state_dict().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._count, self._sum, self._products = (
            state[name].clone() for name in ("count", "sum", "products")
        )
        self._network.load_state_dict({name: state[f"network.{name}"] for name in self._network.state_dict()})
