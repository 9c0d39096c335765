"""The bounds that a VAE learns by: the evidence lower bound, and the importance weighted one."""

import math
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.vae import Posterior, VaeSettings
from tombola.train.tasks.generate.objective import AllAtOnce
from tombola.train.tasks.generate.pixels import drawn_pixels
from tombola.train.tasks.moment import Moment


class VaeObjective(AllAtOnce):
    """Likelihoods are in nats a picture."""

    def __init__(self, settings: VaeSettings, shape: PictureShape) -> None:
        self.settings = settings
        self.shape = shape
        self._drawn = settings.samples * settings.latents

    @property
    def noise_size(self) -> int:
        return self._drawn + (self.shape.size if self.settings.binary else 0)

    def losses(
        self, network: nn.Module, images: Tensor, labels: Tensor | None, noise: Tensor, moment: Moment
    ) -> Mapping[str, Tensor]:
        log_likelihood, divergence, bound = self._bounds(network, images, labels, noise)
        if self.settings.samples > 1:
            return {"bound": -bound.mean()}
        weight = min(1.0, (moment.step + 1) / max(1, self.settings.kl_warmup_steps))
        return {"reconstruction": -log_likelihood.mean(), "kl": weight * divergence.mean()}

    def scores(
        self, network: nn.Module, images: Tensor, labels: Tensor | None, noise: Tensor
    ) -> Mapping[str, Tensor]:
        log_likelihood, divergence, bound = self._bounds(network, images, labels, noise)
        return {"loss": -bound, "reconstruction": -log_likelihood, "kl": divergence}

    def pixels(self, images: Tensor, noise: Tensor) -> Tensor:
        """The pictures as they are, or their pixels drawn as 0 or 1 by the noise."""
        return drawn_pixels(images, noise[:, self._drawn :]) if self.settings.binary else images

    def _bounds(
        self, network: nn.Module, images: Tensor, labels: Tensor | None, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of each picture, float [B]: the mean of log p(x | z), the KL divergence, and the bound on
        log p(x)."""
        images = self.pixels(images, noise)
        noise = noise[:, : self._drawn].unflatten(1, (self.settings.samples, self.settings.latents))
        posterior, latents, logits = network(images, labels, noise)
        log_likelihoods = bernoulli(logits.float(), images[:, None])  # [B, k]
        divergence = kl_divergence(posterior)
        if self.settings.samples == 1:
            bound = log_likelihoods[:, 0] - divergence
        else:
            bound = importance_bound(log_likelihoods, posterior, latents)
        return log_likelihoods.mean(1), divergence, bound


def bernoulli(logits: Tensor, images: Tensor) -> Tensor:
    """log p(x | z) of pixels 0..1, [B, k] from logits [B, k, c, h, w] and images that broadcast to it; of
    grey levels the mean over pixels drawn with these probabilities."""
    entropies = F.binary_cross_entropy_with_logits(logits, images.expand_as(logits), reduction="none")
    return -entropies.sum((2, 3, 4))


def kl_divergence(posterior: Posterior) -> Tensor:
    """KL(q(z | x) ‖ N(0, I)) [B] (Kingma & Welling 2014, appendix B)."""
    mean, log_variance = posterior
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def importance_bound(log_likelihoods: Tensor, posterior: Posterior, latents: Tensor) -> Tensor:
    """log of the mean of k importance weights (Burda et al. 2016, equation 8): [B] from log p(x | z) [B, k]
    and latents [B, k, d], which were drawn from the posterior."""
    weights = log_weights(log_likelihoods, posterior, latents)
    return weights.logsumexp(1) - math.log(weights.shape[1])


def log_weights(log_likelihoods: Tensor, posterior: Posterior, latents: Tensor) -> Tensor:
    """log p(x, z) - log q(z | x), [B, k]."""
    mean, log_variance = (one[:, None] for one in posterior)
    log_prior = -0.5 * latents.square().sum(2)
    log_drawn = -0.5 * (log_variance + (latents - mean).square() * (-log_variance).exp()).sum(2)
    return log_likelihoods + log_prior - log_drawn  # the constants of both Gaussians cancel
