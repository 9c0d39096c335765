"""The optimiser that a recipe asks for."""

from typing import Any

import torch

from tombola.train.recipe.recipe import TrainingSettings


def build_optimizer(
    settings: TrainingSettings, groups: list[dict[str, Any]], *, fused: bool = False
) -> torch.optim.Optimizer:
    """groups: as torch takes them, each with its own weight_decay.

    fused: Adam in one pass over each tensor, on a CPU several times as fast where a mask leaves zeros. It
    takes it for granted that weight, gradient and optimiser state lie in memory alike.
    """
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.momentum > 0
        )
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, fused=fused)
