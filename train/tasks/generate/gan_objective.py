"""What the two players of a GAN learn by, in turns: the critic first, then the generator."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.generate.gan import GanSettings
from tombola.train.tasks.moment import Moment

BETA2 = 0.99


class GanObjective:
    """Losses of logits of the critic; D is their sigmoid."""

    def __init__(self, settings: GanSettings) -> None:
        self.settings = settings
        self.turns = settings.critic_steps + 1
        self.noise_size = self.turns * settings.latents

    def prepare(self, network: nn.Module, turn: int) -> None:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(_is_critics(name) == (turn < self.settings.critic_steps))

    def group(self, name: str) -> dict[str, Any]:
        rate = self.settings.critic_rate if _is_critics(name) else 1.0
        return {"rate": rate, "betas": (self.settings.beta1, BETA2)}

    def losses(
        self, network: nn.Module, images: Tensor, labels: Tensor | None, noise: Tensor, moment: Moment
    ) -> Mapping[str, Tensor]:
        latents = noise.unflatten(1, (self.turns, -1))[:, moment.turn]
        if moment.turn == self.settings.critic_steps:
            (made,) = network(latents, labels)
            return {"generator": generator_loss(made, self.settings.loss)}
        slope = self.settings.r1 > 0 and moment.step % self.settings.r1_every == 0
        real, made = network(latents, labels, images.requires_grad_(slope))
        losses = {"critic": critic_loss(real, made)}
        if slope:
            (gradient,) = torch.autograd.grad(real.sum(), images, create_graph=True)
            penalty = gradient.square().sum((1, 2, 3)).mean()
            losses["r1"] = self.settings.r1_every * self.settings.r1 / 2 * penalty
        return losses

    def scores(
        self, network: nn.Module, images: Tensor, labels: Tensor | None, noise: Tensor
    ) -> Mapping[str, Tensor]:
        latents = noise.unflatten(1, (self.turns, -1))[:, 0]
        real, made = network(latents, labels, images)
        return {"critic_right": 0.5 * ((real > 0).float() + (made < 0).float())}


def critic_loss(real: Tensor, made: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))), from logits (Goodfellow et al. 2014, equation 1)."""
    return F.softplus(-real).mean() + F.softplus(made).mean()


def generator_loss(made: Tensor, kind: str) -> Tensor:
    """-E log D(G(z)), or of the minimax game E log(1 - D(G(z))), from logits."""
    return F.softplus(-made).mean() if kind == "non-saturating" else -F.softplus(made).mean()


def _is_critics(name: str) -> bool:
    return name.startswith("critic.")
