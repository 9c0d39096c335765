"""Learning by gradient descent: loss, gradient, optimiser, and the average of the weights."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from tombola.train.loop.learn.average import WeightAverage
from tombola.train.loop.learn.learner import NotFinite, Weights
from tombola.train.loop.learn.optimizer import build_optimizer
from tombola.train.loop.learn.regularise import limit_norms, penalties
from tombola.train.loop.learn.schedule import learning_rate_factor
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import Task, TaughtTask, TurnsTask


class GradientLearner:
    """One network, one optimiser, the losses of the task, with those of a teacher if it has one, and the
    penalties of the settings. Where parts learn in turns the optimiser moves those that have a gradient.

    settings: other than the task's. weights: to begin with, other than the task's. rate: a learning rate, in
    place of the schedule's. mask: parameter's name -> bool tensor of its shape; where it is False the weight
    is 0 and stays so, in the network and in the average. Rate and mask are part of the state, and restored
    ones replace them.
    """

    def __init__(
        self,
        task: Task,
        fabric: Fabric,
        *,
        settings: TrainingSettings | None = None,
        rate: float | None = None,
        weights: Mapping[str, Tensor] | None = None,
        mask: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.task, self.fabric, self.settings = task, fabric, settings or task.settings
        self.rate = rate
        network = task.build_network(start=weights is None)
        if weights is not None:
            network.load_state_dict(weights)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        groups = task.parameter_groups(network)
        self._rates = [group.pop("rate") for group in groups]
        self.wrapped, self.optimizer = fabric.setup(network, build_optimizer(self.settings, groups))
        self.network: nn.Module = self.wrapped.module  # Fabric's wrapper taken off
        if isinstance(self.network, nn.parallel.DistributedDataParallel):
            self.network = self.network.module
        self._named = dict(self.network.named_parameters())
        self._set_mask(mask or {})
        self._cut(self._named)
        self._turns = task.turns if isinstance(task, TurnsTask) else 1
        decay = self.settings.ema_decay
        self.average = WeightAverage(self.network, decay) if decay > 0 else None
        teacher = task.load_teacher() if isinstance(task, TaughtTask) else None
        self._teacher = None if teacher is None else fabric.to_device(teacher)

    def step(self, batch: Any, moment: Moment) -> dict[str, float]:
        """One optimiser step, in all its turns; the parts of the loss before it, those that the settings add
        among them."""
        for group, factor in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = (self._scheduled_rate(moment) if self.rate is None else self.rate) * factor
        parts: dict[str, float] = {}
        gradients: dict[str, Tensor] = {}
        for turn in range(self._turns):
            parts |= self._take_turn(batch, replace(moment, turn=turn))
            gradients |= {name: p.grad for name, p in self._named.items() if p.grad is not None}
        for name, gradient in gradients.items():  # for the watch: the last turn has dropped the others'
            self._named[name].grad = gradient
        if self.settings.max_norm > 0:
            limit_norms(self.network, self.settings.max_norm)
        self._cut(self._named)
        if self.average is not None:
            self.average.update(self.network, moment.step)
            self._cut(self.average.tensors)
        return parts

    def _take_turn(self, batch: Any, moment: Moment) -> dict[str, float]:
        losses = self.losses(batch, moment)
        self.backward(losses)
        self._cut({name: p.grad for name, p in self._named.items() if p.grad is not None})
        norm = self.fabric.clip_gradients(
            self.wrapped, self.optimizer, max_norm=self.settings.clip_norm, error_if_nonfinite=False
        )
        parts = dict(zip(losses, torch.stack([p.detach() for p in losses.values()]).tolist(), strict=True))
        if not math.isfinite(float(norm)):  # type: ignore[arg-type]
            raise NotFinite(self._not_finite(parts, moment))
        self.optimizer.step()
        return parts

    def losses(self, batch: Any, moment: Moment) -> dict[str, Tensor]:
        """All parts of the loss, each float32 [], with the network in training mode."""
        self.task.prepare(self.wrapped, moment)
        return {
            **self._task_losses(batch, moment),
            **penalties(self.network, l1=self.settings.l1, l2=self.settings.l2),
        }

    def _task_losses(self, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
        if self._teacher is None:
            return self.task.losses(self.wrapped, batch, moment)
        assert isinstance(self.task, TaughtTask)
        with torch.no_grad(), self.fabric.autocast():
            lesson = self.task.lesson(self._teacher, batch)
        return self.task.taught_losses(self.wrapped, batch, moment, lesson)

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        """Leave the gradient of the sum of losses in the network's parameters."""
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(torch.stack(list(losses.values())).sum())

    def end_epoch(self) -> None:
        """Nothing here waits for the end of an epoch."""

    def raw(self) -> Weights:
        return Weights("raw", self.network.state_dict())

    def deployed(self) -> Weights:
        """The average; the raw weights if it is off."""
        return self.raw() if self.average is None else Weights("averaged", self.average.tensors)

    def state(self) -> dict[str, Tensor]:
        tensors = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": t for name, t in self.average.tensors.items()}
        tensors |= {f"mask.{name}": kept for name, kept in self.mask.items()}
        if self.rate is not None:
            tensors["rate"] = torch.tensor(self.rate, dtype=torch.float64)
        for name, parameter in self._named.items():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if value is not None:
                    tensors[f"optimizer.{name}:{key}"] = torch.as_tensor(value)
        return tensors

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.network.load_state_dict(_strip(state, "network."))
        if self.average is not None:
            average = _strip(state, "average.")
            for name, tensor in self.average.tensors.items():
                tensor.copy_(average[name])
        self._set_mask(_strip(state, "mask."))
        self.rate = float(state["rate"]) if "rate" in state else None
        of: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, tensor in _strip(state, "optimizer.").items():
            parameter_name, _, key = name.rpartition(":")
            of[parameter_name][key] = tensor
        for name, kept in of.items():
            parameter = self._named[name]
            self.optimizer.state[parameter] = {
                key: value if key == "step" else value.to(parameter) for key, value in kept.items()
            }

    def _scheduled_rate(self, moment: Moment) -> float:
        return self.settings.learning_rate * learning_rate_factor(
            moment.step,
            total_steps=moment.total_steps,
            warmup_steps=self.settings.warmup_steps,
            final_rate=self.settings.final_rate,
        )

    def _not_finite(self, parts: Mapping[str, float], moment: Moment) -> str:
        said = ", ".join(f"{name} {part:.3g}" for name, part in parts.items())
        return (
            f"the loss or its gradient is not finite at step {moment.step + 1} ({said}); try a lower "
            f"training.learning_rate (now {self.settings.learning_rate:g}), a longer training.warmup_steps, "
            "a smaller training.clip_norm, or training.precision = '32-true'"
        )

    def _set_mask(self, mask: Mapping[str, Tensor]) -> None:
        self.mask = {name: kept.to(self._named[name].device) for name, kept in mask.items()}
        # Times 0 takes a tenth of the time of masked_fill_.
        self._factors = {name: kept.to(self._named[name].dtype) for name, kept in self.mask.items()}

    @torch.no_grad()
    def _cut(self, tensors: Mapping[str, Tensor]) -> None:
        """Zero what the mask leaves out."""
        for name, factor in self._factors.items():
            if name in tensors:
                tensors[name].mul_(factor)


def _strip(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
