"""Perceptrons of one shape trained side by side, in two thirds of the time that they take one by one.

Every seed has its own weights, mask and order of the pictures; they share nothing but the arithmetic.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from tombola.train.loop.learn.optimizer import build_optimizer
from tombola.train.loop.learn.schedule import learning_rate_factor
from tombola.train.prune.weights.mask import Mask
from tombola.train.prune.weights.rewind import Start
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.studies.tickets.in_memory import InMemory, Split
from tombola.train.studies.tickets.trial import State, Trained, Trial
from tombola.train.tasks.classify.batches import plan_epoch

JUDGED_EVERY = 100  # steps
JUDGED_TOGETHER = 1000  # pictures


def train_side_by_side(
    data: InMemory,
    settings: TrainingSettings,
    starts: Sequence[Start],
    masks: Sequence[Mask | None],
    order_seeds: Sequence[int],
    *,
    keep_steps: Sequence[int] = (),
) -> list[Trained]:
    """Train a perceptron from each start, under its mask, with the pictures in the order of its seed.

    The starts are of one step and have weights of one shape; the recipe's clip_norm, ema_decay and penalties
    are not applied.
    """
    weights = {
        name: torch.stack([start.weights[name] for start in starts]).requires_grad_()
        for name in starts[0].weights
    }
    factors = _stacked_masks(weights, masks)
    with torch.no_grad():
        for name, factor in factors.items():
            weights[name].mul_(factor)
    group = {"params": list(weights.values()), "weight_decay": settings.weight_decay}
    optimizer = build_optimizer(settings, [group], fused=settings.optimizer != "sgd")
    total = settings.epochs * (len(data.train) // settings.batch_size)
    book = _Book(weights, data)
    early: list[dict[int, State]] = [{0: state} if 0 in keep_steps else {} for state in _apart(weights)]
    for step, images, labels in _batches(data.train, settings, starts[0].step, order_seeds):
        rate = learning_rate_factor(
            step, total_steps=total, warmup_steps=settings.warmup_steps, final_rate=settings.final_rate
        )
        optimizer.param_groups[0]["lr"] = settings.learning_rate * rate
        logits = answers(weights, images)
        # A mean a network, summed: each has the gradient that it has alone.
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten()) * len(starts)
        for weight, gradient in zip(
            weights.values(), torch.autograd.grad(loss, list(weights.values())), strict=True
        ):
            weight.grad = gradient
        for name, factor in factors.items():
            grad = weights[name].grad
            assert grad is not None
            grad.mul_(factor)
        optimizer.step()
        if step + 1 in keep_steps:
            for kept, state in zip(early, _apart(weights), strict=True):
                kept[step + 1] = state
        if (step + 1) % JUDGED_EVERY == 0 or step + 1 == total:
            book.look(step + 1)
    return [
        Trained(trial, state, kept)
        for trial, state, kept in zip(book.trials(), _apart(weights), early, strict=True)
    ]


def answers(weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """float [S, B, pixels] (or [B, pixels], the same for all) -> logits [S, B, classes]; a matrix and a bias
    a layer, ReLU between layers."""
    # Files have names in the order of the alphabet: layers.0.0, layers.1.0, …, and head is the last layer.
    layers = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    layers.sort(key=lambda name: (name == "head", len(name), name))
    # A picture a column: gradients then come out in the layout of the weights.
    columns = images.mT.expand(len(weights[f"{layers[0]}.weight"]), -1, -1)
    for layer in layers:
        if layer != layers[0]:
            columns = columns.relu()
        columns = torch.baddbmm(weights[f"{layer}.bias"][..., None], weights[f"{layer}.weight"], columns)
    return columns.mT


@torch.no_grad()
def judge(weights: Mapping[str, Tensor], split: Split) -> tuple[Tensor, Tensor]:
    """Share of right answers, 0 … 1, and mean cross-entropy, each [S]."""
    right, loss = torch.zeros(2, len(next(iter(weights.values()))))
    for images, labels in zip(
        split.images.split(JUDGED_TOGETHER), split.labels.split(JUDGED_TOGETHER), strict=True
    ):
        logits = answers(weights, images)
        right += (logits.argmax(dim=2) == labels).sum(dim=1)
        loss += F.cross_entropy(logits.mT, labels.expand(len(logits), -1), reduction="none").sum(dim=1)
    return right / len(split), loss / len(split)


class _Book:
    """What is written down while networks train."""

    def __init__(self, weights: Mapping[str, Tensor], data: InMemory) -> None:
        self.weights, self.data = weights, data
        self.steps: list[int] = []
        self.accuracies: list[Tensor] = []
        self.losses: list[Tensor] = []
        self.best = {name: weight.detach().clone() for name, weight in weights.items()}
        self.least = torch.full((len(next(iter(weights.values()))),), torch.inf)

    def look(self, step: int) -> None:
        """Judge by the validation pictures, and keep the weights of each network that never did better."""
        accuracy, loss = judge(self.weights, self.data.valid)
        self.steps.append(step)
        self.accuracies.append(accuracy)
        self.losses.append(loss)
        better = (loss < self.least).nonzero().flatten()
        self.least[better] = loss[better]
        for name, weight in self.weights.items():
            self.best[name][better] = weight.detach()[better]

    def trials(self) -> list[Trial]:
        losses, accuracies = torch.stack(self.losses, 1), torch.stack(self.accuracies, 1)
        stop_test, _ = judge(self.best, self.data.test)
        last_test, _ = judge(self.weights, self.data.test)
        return [
            Trial(
                steps=self.steps,
                valid_losses=losses[one].tolist(),
                valid_accuracies=accuracies[one].tolist(),
                stop_step=self.steps[int(losses[one].argmin())],
                stop_test=float(stop_test[one]),
                last_test=float(last_test[one]),
            )
            for one in range(len(losses))
        ]


def _stacked_masks(weights: Mapping[str, Tensor], masks: Sequence[Mask | None]) -> dict[str, Tensor]:
    """1 where a weight lives and 0 where not, [S, …], for the tensors that some mask speaks of."""
    names = dict.fromkeys(name for mask in masks if mask is not None for name in mask)
    return {
        name: torch.stack(
            [
                torch.ones_like(weights[name][one]) if mask is None else mask[name].float()
                for one, mask in enumerate(masks)
            ]
        )
        for name in names
    }


def _batches(
    train: Split, settings: TrainingSettings, first_step: int, order_seeds: Sequence[int]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Step, images [S, B, pixels] and labels [S, B] of all steps from `first_step` on; no two networks need
    see the same pictures."""
    size = settings.batch_size
    steps = len(train) // size
    for epoch in range(first_step // steps, settings.epochs):
        which = torch.tensor(
            [
                [
                    [request.index for request in batch]
                    for batch in plan_epoch(len(train), batch_size=size, seed=seed, epoch=epoch)
                ]
                for seed in order_seeds
            ]
        )
        for place in range(max(0, first_step - epoch * steps), steps):
            yield epoch * steps + place, train.images[which[:, place]], train.labels[which[:, place]]


def _apart(weights: Mapping[str, Tensor]) -> list[State]:
    """A copy of each network's weights."""
    count = len(next(iter(weights.values())))
    return [{name: weight.detach()[one].clone() for name, weight in weights.items()} for one in range(count)]
