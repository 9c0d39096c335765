"""A training on trial: some steps, as the loop would do them, of a network that is dropped afterwards."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tombola.train.loop.optimizer import build_optimizer
from tombola.train.loop.regularise import limit_norms, penalties
from tombola.train.tasks.task import ExaminedTask


class Trial:
    """A fresh network and its optimiser.

    plain: nothing regularises: no penalties, no decay, no bound on norms, no dropout. optimizer: another than
    the recipe's. Random numbers repeat from trial to trial.
    """

    def __init__(
        self,
        task: ExaminedTask,
        device: torch.device,
        *,
        plain: bool = False,
        optimizer: Literal["adam"] | None = None,
    ) -> None:
        changes: dict[str, Any] = {"l1": 0.0, "l2": 0.0, "max_norm": 0.0} if plain else {}
        if optimizer:
            changes["optimizer"] = optimizer
        self.task = task
        self.plain = plain
        self.settings = task.settings.model_copy(update=changes)
        self.network = task.build_network().to(device)
        groups = task.parameter_groups(self.network)
        self._rates = [group.pop("rate") for group in groups]
        if plain:
            groups = [group | {"weight_decay": 0.0} for group in groups]
        self._optimizer = build_optimizer(self.settings, groups)
        self._steps = 0

    def step(self, batch: Any, rate: float) -> float:
        """One optimiser step at a learning rate; the loss before it, NaN or infinite if it has exploded."""
        torch.manual_seed(self.task.seed * 1_000_003 + self._steps)
        self._prepare()
        loss = self.loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        if not math.isfinite(norm.item()):
            return math.nan
        for group, factor in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        self._optimizer.step()
        if self.settings.max_norm > 0:
            limit_norms(self.network, self.settings.max_norm)
        self._steps += 1
        return loss.item()

    def first_loss(self, batch: Any) -> float:
        """The loss as in a first step, which is not taken."""
        torch.manual_seed(self.task.seed * 1_000_003)
        self._prepare()
        with torch.no_grad():
            return self.loss(batch).item()

    def loss(self, batch: Any) -> Tensor:
        """All parts of the loss, penalties too, as one sum: float32 []."""
        parts = {
            **self.task.losses(self.network, batch),
            **penalties(self.network, l1=self.settings.l1, l2=self.settings.l2),
        }
        return torch.stack(list(parts.values())).sum()

    def _prepare(self) -> None:
        self.task.prepare(self.network)
        if self.plain:
            for module in self.network.modules():
                if isinstance(module, nn.modules.dropout._DropoutNd):
                    module.eval()
