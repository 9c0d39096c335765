"""The optimiser that a recipe asks for."""

from typing import Any

import torch

from tombola.train.recipe.recipe import TrainingSettings


def build_optimizer(settings: TrainingSettings, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """groups: as torch takes them, each with its own weight_decay."""
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.momentum > 0
        )
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate)
