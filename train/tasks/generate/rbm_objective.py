"""What a restricted Boltzmann machine learns by: pictures of lower free energy than what it dreams."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tombola.train.networks.generate.rbm import Rbm, RbmSettings, draw
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.tasks.generate.annealing import log_partition
from tombola.train.tasks.generate.objective import AllAtOnce
from tombola.train.tasks.generate.pixels import drawn_pixels
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import Tell

GAUSSIAN_RATE = 0.1
MOMENTUM = 0.01  # of the means of hidden units
LEAST_ACTIVITY = 1e-3
LIKELIHOOD_RUNS = 100


class RbmObjective(AllAtOnce):
    """The gradient of -log p(v) is that of F(v) less its mean over p, for which chains stand in."""

    def __init__(self, settings: RbmSettings, shape: PictureShape) -> None:
        self.settings = settings
        self.is_binary = settings.visible == "binary"
        self.noise_size = shape.size if self.is_binary else 0

    def group(self, name: str) -> dict[str, Any]:  # noqa: ARG002
        return {"rate": 1.0 if self.is_binary else GAUSSIAN_RATE}

    def losses(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG002
        noise: Tensor,
        moment: Moment,  # noqa: ARG002
    ) -> Mapping[str, Tensor]:
        machine = getattr(network, "module", network)  # without the wrapper that the precision puts around it
        assert isinstance(machine, Rbm)
        visible = machine.visible(self.pixels(images, noise))
        with torch.no_grad():
            odds = machine.hidden_odds(visible)
            machine.activity.lerp_(odds.sigmoid().mean(0).clamp(LEAST_ACTIVITY, 1 - LEAST_ACTIVITY), MOMENTUM)
            hidden = machine.chains.to(odds.dtype) if self.settings.persistent else draw(odds)
            for _ in range(self.settings.steps):
                dreamt = machine.draw_visible(machine.visible_drive(hidden))
                hidden = draw(machine.hidden_odds(dreamt))
            if self.settings.persistent:
                machine.chains.copy_(hidden)
        free_energies = network(torch.cat([visible, dreamt]))
        return {"contrast": free_energies[: len(visible)].mean() - free_energies[len(visible) :].mean()}

    def scores(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG002
        noise: Tensor,
    ) -> Mapping[str, Tensor]:
        assert isinstance(network, Rbm)
        pixels = self.pixels(images, noise)
        again = network.reconstruct(network.encode(pixels))
        return {
            "free_energy": network(network.visible(pixels)),
            "error": (again - images).square().sum((1, 2, 3)),
        }

    def likelihood(
        self, network: nn.Module, free_energy: float, seed: int, temperatures: int, tell: Tell
    ) -> dict[str, float]:
        """The mean log p of pictures of that mean free energy in nats, by ln Z over so many temperatures; low
        and high are by its spread between runs."""
        assert isinstance(network, Rbm)
        found = log_partition(network, LIKELIHOOD_RUNS, temperatures, seed, tell)
        return {
            "log_likelihood": -free_energy - found.mean,
            "log_likelihood_low": -free_energy - found.high,
            "log_likelihood_high": -free_energy - found.low,
            "log_partition": found.mean,
        }

    def pixels(self, images: Tensor, noise: Tensor) -> Tensor:
        """Pixels drawn as 0 or 1 by the noise; for Gaussian visible units the pictures as they are."""
        return drawn_pixels(images, noise) if self.is_binary else images
