"""Gaussian generators from the moments of the training pictures: probabilistic PCA, factor analysis, and the
Gaussian Markov random field."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tombola.train.networks.generate.gaussian_mrf import GaussianMrf, GaussianMrfSettings
from tombola.train.networks.generate.linear_gaussian import LinearGaussian, LinearGaussianSettings
from tombola.train.tasks.generate.objective import AllAtOnce
from tombola.train.tasks.moment import Moment

LEAST_FIELD_VARIANCE = 1e-4  # of a level given its neighbours
LEAST_VARIANCE = 1e-5  # of a level's noise: a pixel that is black in all pictures has none of its own


class LinearGaussianObjective(AllAtOnce):
    """The loss is -log p(x) in nats a picture."""

    noise_size = 0

    def __init__(self, settings: LinearGaussianSettings | GaussianMrfSettings) -> None:
        self.settings = settings

    def losses(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG002
        noise: Tensor,  # noqa: ARG002
        moment: Moment,  # noqa: ARG002
    ) -> Mapping[str, Tensor]:
        return {"likelihood": -network(images).mean()}

    def scores(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG002
        noise: Tensor,  # noqa: ARG002
    ) -> Mapping[str, Tensor]:
        return {"loss": -network(images)}

    @torch.no_grad()
    def fit(self, network: nn.Module, mean: Tensor, covariance: Tensor) -> None:
        """Give the network the weights of greatest likelihood for pictures of this mean, float64 [d], and
        covariance [d, d]."""
        if isinstance(self.settings, GaussianMrfSettings):
            assert isinstance(network, GaussianMrf)
            fit_field(network, mean, covariance)
            return
        assert isinstance(network, LinearGaussian)
        if self.settings.noise == "ppca":
            weight, variance = fit_ppca(covariance, self.settings.latents)
        else:
            weight, variance = fit_factors(covariance, self.settings.latents, self.settings.em_steps)
        reads = posterior_reads(weight, variance)
        for parameter, value in (
            (network.back.weight, weight),
            (network.back.bias, mean),
            (network.there.weight, reads.T),
            (network.there.bias, -mean @ reads),
            (network.variance, variance),
        ):
            parameter.copy_(value)


def fit_field(network: GaussianMrf, mean: Tensor, covariance: Tensor) -> None:
    """Give a field the weights of greatest likelihood: of each level x - μ = Σ a (x_before - μ) + noise, with
    the neighbours that it has among those before it, is a row (1, -a) / deviation of Rᵀ."""
    there = torch.zeros_like(covariance)
    channels, height, width = network.shape
    place = torch.arange(channels * height * width).view(channels, height, width)
    for row in range(height):
        for column in range(width):
            beside = slice(max(0, column - network.reach), column + network.reach + 1)
            around = place[:, max(0, row - network.reach) : row + 1, beside].flatten()
            for level in place[:, row, column].tolist():
                # As one reads: rows, then columns, then colours.
                order = around % (height * width) * channels + around // (height * width)
                own = level % (height * width) * channels + level // (height * width)
                before = around[order < own]
                known = covariance[before][:, before] + LEAST_FIELD_VARIANCE * torch.eye(len(before)).to(mean)
                share = torch.linalg.solve(known, covariance[before, level])
                rest = (covariance[level, level] - share @ covariance[before, level]).clamp(
                    min=LEAST_FIELD_VARIANCE
                )
                there[level, before] = -share / rest.sqrt()
                there[level, level] = 1 / rest.sqrt()
    for parameter, value in (
        (network.back.weight, torch.linalg.inv(there)),
        (network.back.bias, mean),
        (network.there.weight, there),
        (network.there.bias, -there @ mean),
    ):
        parameter.copy_(value)


def fit_ppca(covariance: Tensor, latents: int) -> tuple[Tensor, Tensor]:
    """W [d, latents] = U (Λ - σ² I)^½ and σ², the mean of the eigenvalues left out, as Ψ [d] (Tipping &
    Bishop 1999, equations 7 and 8, with no turn)."""
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0), vectors.flip(1)
    rest = values[latents:]
    sigma2 = (rest.mean() if len(rest) else values.new_zeros(())).clamp(min=LEAST_VARIANCE)
    weight = vectors[:, :latents] * (values[:latents] - sigma2).clamp(min=0).sqrt()
    return weight, sigma2.expand(len(covariance)).clone()


def fit_factors(covariance: Tensor, latents: int, steps: int) -> tuple[Tensor, Tensor]:
    """W [d, latents] and Ψ [d] after so many steps of EM (Rubin & Thayer 1982) from the closed form of ppca.
    No step lowers the likelihood."""
    weight, variance = fit_ppca(covariance, latents)
    for _ in range(steps):
        weight, variance = em_step(covariance, weight, variance)
    return weight, variance


def em_step(covariance: Tensor, weight: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """One step of EM for factor analysis."""
    reads = posterior_reads(weight, variance)
    crossed = covariance @ reads  # E[x zᵀ]
    second = torch.eye(weight.shape[1]).to(weight) - weight.T @ reads + reads.T @ crossed  # E[z zᵀ]
    weight = torch.linalg.solve(second, crossed.T).T
    return weight, (covariance.diagonal() - (weight * crossed).sum(1)).clamp(min=LEAST_VARIANCE)


def posterior_reads(weight: Tensor, variance: Tensor) -> Tensor:
    """[d, latents]: E[z | x] = (x - μ) of it, Ψ⁻¹ W (I + Wᵀ Ψ⁻¹ W)⁻¹."""
    scaled = weight / variance[:, None]
    precision = torch.eye(weight.shape[1]).to(weight) + scaled.T @ weight
    reads: Tensor = torch.linalg.solve(precision, scaled.T).T
    return reads
