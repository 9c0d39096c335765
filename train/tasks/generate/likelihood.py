"""log p(x) of a VAE, estimated by importance sampling from its posterior."""

import math

import torch
from torch import Tensor

from tombola.train.networks.generate.vae import Posterior, Vae
from tombola.train.tasks.generate.vae_objective import bernoulli, log_weights

SAMPLES_AT_ONCE = 100


def log_likelihood(
    network: Vae, images: Tensor, labels: Tensor | None, samples: int, generator: torch.Generator
) -> Tensor:
    """log of the mean of `samples` importance weights, in nats, float64 [B]: below log p(x) on average, and
    nearer the more there are (Burda et al. 2016, theorem 1). images: float [B, c, h, w] of 0 and 1."""
    posterior = network.posterior(images, labels)
    total = torch.full((len(images),), -math.inf, dtype=torch.float64)
    for start in range(0, samples, SAMPLES_AT_ONCE):
        count = min(SAMPLES_AT_ONCE, samples - start)
        noise = torch.randn(len(images), count, network.latent_size, generator=generator).to(images)
        weights = _weights(network, images, labels, posterior, noise)
        total = torch.logaddexp(total, weights.double().logsumexp(1).cpu())
    return total - math.log(samples)


def _weights(
    network: Vae, images: Tensor, labels: Tensor | None, posterior: Posterior, noise: Tensor
) -> Tensor:
    latents = posterior.mean[:, None] + (0.5 * posterior.log_variance).exp()[:, None] * noise
    told = None if labels is None else labels.repeat_interleave(noise.shape[1])
    logits = network.logits(latents.flatten(0, 1), told).unflatten(0, noise.shape[:2])
    return log_weights(bernoulli(logits.float(), images[:, None]), posterior, latents)
