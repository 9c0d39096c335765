"""What an autoencoder learns by: the way back to the clean picture, and penalties on its code."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tombola.train.metrics.likeness import psnr_db, ssim
from tombola.train.networks.generate.autoencoder import AutoencoderSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.tasks.generate.objective import AllAtOnce
from tombola.train.tasks.moment import Moment


class AutoencoderObjective(AllAtOnce):
    """Errors are squared, summed over the levels (0..1) of a picture."""

    def __init__(self, settings: AutoencoderSettings, shape: PictureShape) -> None:
        self.settings = settings
        sizes = {
            "mask": shape.size if settings.masked else 0,
            "add": shape.size if settings.noise else 0,
            "direction": settings.latents if settings.contractive else 0,
        }
        self._sizes = list(sizes.values())
        self.noise_size = sum(self._sizes)

    def losses(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG002
        noise: Tensor,
        moment: Moment,  # noqa: ARG002
    ) -> Mapping[str, Tensor]:
        seen, direction = self._spoilt(images, noise)
        seen.requires_grad_(self.settings.contractive > 0)
        code, levels = network(seen)
        losses = {"reconstruction": (levels - images).square().sum((1, 2, 3)).mean()}
        if self.settings.sparse:
            losses["sparse"] = self.settings.sparse * code.abs().sum(1).mean()
        if self.settings.contractive and torch.is_grad_enabled():
            losses["contractive"] = self.settings.contractive * squared_jacobian(code, seen, direction).mean()
        return losses

    def scores(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG002
        noise: Tensor,
    ) -> Mapping[str, Tensor]:
        _, levels = network(self._spoilt(images, noise)[0])
        return {
            "loss": (levels - images).square().sum((1, 2, 3)),
            "psnr_db": psnr_db(levels, images),
            "ssim": ssim(levels, images),
        }

    def _spoilt(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder is shown of the pictures, and a direction in its code."""
        mask, add, direction = noise.split(self._sizes, dim=1)
        seen = images.clone()
        if self.settings.masked:
            # A normal number is below its quantile as often as a pixel is to be hidden.
            seen = seen * (torch.special.ndtr(mask) >= self.settings.masked).view_as(images)
        if self.settings.noise:
            seen = seen + self.settings.noise * add.view_as(images)
        return seen, direction


def squared_jacobian(code: Tensor, images: Tensor, direction: Tensor) -> Tensor:
    """An estimate [B] of ‖∂code/∂image‖², the sum of squares, from normal numbers [B, latents]: with a random
    sign s for each latent the mean of ‖∂(s·code)/∂image‖² is that sum. Of one latent it is exact."""
    (gradient,) = torch.autograd.grad((direction.sign() * code).sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)
