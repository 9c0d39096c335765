"""What an autoencoder learns by: the way back to the clean picture, and penalties on its code."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tombola.train.metrics.likeness import psnr_db, ssim
from tombola.train.networks.generate.autoencoder import AutoencoderSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.tasks.generate.objective import AllAtOnce
from tombola.train.tasks.generate.sparse_code import sparse_code
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
        if self.settings.predictive:
            return self._predictive_losses(network, seen, images)
        code, levels = network(seen)
        losses = {"reconstruction": squared_error(levels, images).mean()}
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
            "loss": squared_error(levels, images),
            "psnr_db": psnr_db(levels, images),
            "ssim": ssim(levels, images),
        }

    def _predictive_losses(self, network: nn.Module, seen: Tensor, images: Tensor) -> Mapping[str, Tensor]:
        sparse, predictive = self.settings.sparse, self.settings.predictive

        def infer(code: Tensor, patterns: Tensor, mean: Tensor) -> Tensor:
            with torch.autocast(images.device.type, enabled=False):
                rest = images.flatten(1) - mean
                return sparse_code(rest, patterns, code.float(), sparse=sparse, predictive=predictive)

        code, levels, found = network(seen, infer)
        return {
            "reconstruction": squared_error(levels, images).mean(),
            "sparse": sparse * found.abs().sum(1).mean(),
            "prediction": predictive * (found - code).square().sum(1).mean(),
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


def squared_error(levels: Tensor, images: Tensor) -> Tensor:
    """float [B] of pictures [B, c, h, w]."""
    return (levels - images).square().sum((1, 2, 3))


def squared_jacobian(code: Tensor, images: Tensor, direction: Tensor) -> Tensor:
    """An estimate [B] of ‖∂code/∂image‖², the sum of squares, from normal numbers [B, latents]: with a random
    sign s for each latent the mean of ‖∂(s·code)/∂image‖² is that sum. Of one latent it is exact."""
    (gradient,) = torch.autograd.grad((direction.sign() * code).sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)
