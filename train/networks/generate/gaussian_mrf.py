"""A Gaussian Markov random field: grey levels, each tied to its neighbours by a precision matrix."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axis, flattened
from tombola.train.networks.generate.linear_gaussian import MOST_STEPS
from tombola.train.networks.generate.mrf import MOST_PIXELS
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.solve import conjugate_gradients
from tombola.train.recipe.recipe import Section


class GaussianMrfSettings(Section):
    """Each level is a linear function, and noise, of those up to `reach` rows above and columns beside it
    that come before it as one reads. That is fitted in closed form, so that one epoch is enough, and makes a
    precision matrix that ties levels at most twice as far apart. conditional: never, for it is not told
    labels.
    """

    kind: Literal["gaussian_mrf"]
    reach: int = Field(default=3, ge=1, le=8)
    conditional: Literal[False] = False


class GaussianMrf(nn.Module):
    """Pictures float [B, c, h, w] of 0..1 as vectors x of precision J = R Rᵀ around a mean.

    there has Rᵀ: it makes latents of pictures, there(x) = Rᵀ (x - mean), which are independent and standard
    normal; back has its inverse. There are as many latents as levels.
    """

    encodes = True
    n_labels = 0

    def __init__(self, settings: GaussianMrfSettings, shape: PictureShape) -> None:
        super().__init__()
        if shape.size > MOST_PIXELS:
            raise RecipeError(
                f"a field ties {MOST_PIXELS} levels at most, and picture.size and channels make {shape.size}"
            )
        self.shape = shape
        self.reach = settings.reach
        self.latent_size = shape.size
        latents = Axis("latents", shape.size, pinned=True)
        pixels = flattened(Axis("pixels", shape.channels, pinned=True), shape.height * shape.width)
        self.back = Linear(latents, pixels)
        self.there = Linear(pixels, latents)
        self.requires_grad_(False)  # fitted, not learnt by gradients

    def forward(self, images: Tensor) -> Tensor:
        """log p(x) in nats, float64 [B]."""
        there = self.there.weight.double()
        latents = (images.flatten(1).double() - self.back.bias.double()) @ there.T
        constant = len(there) * math.log(2 * math.pi)
        log_likelihood: Tensor = torch.linalg.slogdet(there).logabsdet - 0.5 * (
            latents.square().sum(1) + constant
        )
        return log_likelihood

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Latents, float [B, levels]."""
        return self.there(images.flatten(1))  # type: ignore[no-any-return]

    def complete(self, images: Tensor, missing: Tensor) -> Tensor:
        """Latents of pictures whose unknown levels are at their mean given the others, [B, levels]; missing
        is 1 where a level is unknown, like images, else 0: J_uu (x_u - μ_u) = -J_uk (x_k - μ_k)."""
        there, unknown = self.there.weight, missing.flatten(1)
        known = (1 - unknown) * (images.flatten(1) - self.back.bias)

        def multiply(off: Tensor) -> Tensor:
            return unknown * (F.linear(unknown * off, there) @ there)

        diagonal = there.square().sum(0)
        off = conjugate_gradients(
            multiply, -unknown * (F.linear(known, there) @ there), diagonal, min(self.latent_size, MOST_STEPS)
        )
        return F.linear(known + unknown * off, there)

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Pictures of 0..1, float [n, c, h, w]."""
        levels: Tensor = self.back(latents).unflatten(1, tuple(self.shape))
        return levels.clamp(0, 1)

    @property
    def precision(self) -> Tensor:
        """J, float64 [levels, levels]."""
        there = self.there.weight.double()
        return there.T @ there


def conditional_mean(precision: Tensor, mean: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """The mean of a Gaussian vector [d] given those of its values that are known, bool [d]: the others solve
    J_uu (x_u - μ_u) = -J_uk (x_k - μ_k)."""
    free = ~known
    off = (values - mean)[known]
    found = values.clone()
    found[free] = mean[free] + torch.linalg.solve(
        precision[free][:, free], -(precision[free][:, known] @ off)
    )
    return found
