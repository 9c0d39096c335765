"""What a pairwise Markov random field learns by: each pixel given its neighbours."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tombola.train.networks.generate.generators import reconstruct
from tombola.train.networks.generate.mrf import Mrf, MrfSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.tasks.generate.objective import AllAtOnce
from tombola.train.tasks.generate.pixels import drawn_pixels
from tombola.train.tasks.moment import Moment


class MrfObjective(AllAtOnce):
    """The loss is -pseudo-likelihood in nats a picture, of pixels drawn anew at every step."""

    def __init__(self, settings: MrfSettings, shape: PictureShape) -> None:
        self.settings = settings
        self.noise_size = 2 * shape.size

    def losses(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG002
        noise: Tensor,
        moment: Moment,  # noqa: ARG002
    ) -> Mapping[str, Tensor]:
        drawn, _ = noise.chunk(2, dim=1)
        return {"pseudo_likelihood": -network(drawn_pixels(images, drawn)).mean()}

    def scores(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG002
        noise: Tensor,
    ) -> Mapping[str, Tensor]:
        """wrong: the share of pixels that are wrong after it took away what was flipped of them."""
        assert isinstance(network, Mrf)
        drawn, flips = noise.chunk(2, dim=1)
        pixels = drawn_pixels(images, drawn)
        flipped = (torch.special.ndtr(flips) < self.settings.flipped).view_as(pixels)
        found = reconstruct(network, torch.where(flipped, 1 - pixels, pixels), None)
        return {"loss": -network(pixels), "wrong": ((found > 0.5) != (pixels > 0.5)).float().mean((1, 2, 3))}
