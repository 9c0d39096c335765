"""Linear-Gaussian generators, x = W z + μ + noise: probabilistic PCA and factor analysis."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axis, flattened
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.vae import Latents
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.solve import conjugate_gradients
from tombola.train.recipe.recipe import Section

MOST_STEPS = 200  # towards the latents of a picture that is not whole


class LinearGaussianSettings(Section):
    """latents numbers that a picture is a linear function of, and noise: "ppca" has one variance for all
    levels, in closed form (Tipping & Bishop 1999), "factors" one for each (factor analysis), by em_steps
    steps of EM. The covariance of the training pictures says all, so one epoch is enough. conditional: never,
    for it is not told labels.
    """

    kind: Literal["linear_gaussian"]
    latents: Latents = 32
    noise: Literal["ppca", "factors"] = "ppca"
    em_steps: int = Field(default=200, ge=1)
    conditional: Literal[False] = False


class LinearGaussian(nn.Module):
    """Pictures float [B, c, h, w] of 0..1 as vectors x ~ N(μ, W Wᵀ + Ψ); it knows no labels.

    `back` makes x of latents, its weight is W and its bias μ; `there` makes E[z | x]; variance is Ψ.
    """

    encodes = True
    n_labels = 0

    def __init__(self, settings: LinearGaussianSettings, shape: PictureShape) -> None:
        super().__init__()
        self.shape = shape
        self.latent_size = settings.latents
        latents = Axis("latents", settings.latents, pinned=True)
        pixels = flattened(Axis("pixels", shape.channels, pinned=True), shape.height * shape.width)
        self.back = Linear(latents, pixels)
        self.there = Linear(pixels, latents)
        self.variance = nn.Parameter(torch.ones(shape.size))
        self.layouts = {"variance": (pixels,)}
        self.requires_grad_(False)  # fitted, not learnt by gradients

    def forward(self, images: Tensor) -> Tensor:
        """log p(x) in nats, float64 [B]."""
        centred = images.flatten(1).double() - self.back.bias.double()
        weight = self.back.weight.double()
        root = torch.linalg.cholesky(weight @ weight.T + self.variance.double().diag())
        whitened = torch.linalg.solve_triangular(root, centred.T, upper=False)
        constant = len(root) * math.log(2 * math.pi) + 2 * root.diagonal().log().sum()
        log_likelihood: Tensor = -0.5 * (whitened.square().sum(0) + constant)
        return log_likelihood

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """E[z | x], float [B, latents]."""
        return self.there(images.flatten(1))  # type: ignore[no-any-return]

    def complete(self, images: Tensor, missing: Tensor) -> Tensor:
        """E[z | what is known of x], float [B, latents]; missing is 1 where a level is unknown, like images,
        else 0: (I + Wᵀ Ψ⁻¹ W) z = Wᵀ Ψ⁻¹ (x - μ), over the known levels alone."""
        trust = (1 - missing.flatten(1)) / self.variance
        weight = self.back.weight
        right = (trust * (images.flatten(1) - self.back.bias)) @ weight
        return conjugate_gradients(
            lambda latents: latents + (trust * F.linear(latents, weight)) @ weight,
            right,
            1 + trust @ weight.square(),
            min(self.latent_size, MOST_STEPS),
        )

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """E[x | z], float [n, c, h, w], cut to 0..1."""
        levels: Tensor = self.back(latents).unflatten(1, tuple(self.shape))
        return levels.clamp(0, 1)
