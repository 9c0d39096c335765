"""A training on trial: some steps, as the loop would do them, of a network that is dropped afterwards."""

import math
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import nn

from tombola.train.loop.learn.gradient_learner import GradientLearner
from tombola.train.loop.learn.learner import NotFinite
from tombola.train.loop.learn.noise import seed_noise
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import ExaminedTask


class Trial:
    """A fresh network and its learner, in the precision of the recipe.

    plain: nothing regularises: no penalties, no decay, no bound on norms, no dropout. optimizer: another than
    the recipe's. Random numbers repeat from trial to trial.
    """

    def __init__(
        self,
        task: ExaminedTask,
        device: torch.device,
        total_steps: int,
        *,
        plain: bool = False,
        optimizer: Literal["adam"] | None = None,
    ) -> None:
        changes: dict[str, Any] = {"ema_decay": 0.0}
        if plain:
            changes |= {"l1": 0.0, "l2": 0.0, "max_norm": 0.0}
        if optimizer:
            changes["optimizer"] = optimizer
        self.task = task
        self._learner = GradientLearner(
            task,
            Fabric(accelerator=device.type, devices=1, precision=task.settings.precision),
            settings=task.settings.model_copy(update=changes),
        )
        self.network = self._learner.network
        if plain:
            for group in self._learner.optimizer.param_groups:
                group["weight_decay"] = 0.0
            for module in self.network.modules():
                if isinstance(module, nn.modules.dropout._DropoutNd):
                    module.p = 0.0
        self.moment = Moment(0, 0, total_steps)

    def step(self, batch: Any, rate: float) -> float:
        """One optimiser step at a learning rate; the loss before it, NaN or infinite if it has exploded."""
        self._learner.rate = rate
        seed_noise(self.task.seed, self.moment.step)
        try:
            losses = self._learner.step(batch, self.moment)
        except NotFinite:
            return math.nan
        self.moment = Moment(self.moment.step + 1, 0, self.moment.total_steps)
        return sum(losses.values())

    def first_losses(self, batch: Any) -> dict[str, float]:
        """The parts of the loss, penalties too, as in a first step, which is not taken."""
        seed_noise(self.task.seed, 0)
        with torch.no_grad():
            return {name: part.item() for name, part in self._learner.losses(batch, self.moment).items()}

    def first_gradient(self, batch: Any) -> None:
        """Leave the gradient of a first step, which is not taken, in the network's parameters."""
        seed_noise(self.task.seed, 0)
        self._learner.backward(self._learner.losses(batch, self.moment))
