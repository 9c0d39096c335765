"""A pairwise Markov random field of black and white pixels (the Ising model, with a tie of its own for each
pair of neighbours), which takes noise away."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axis
from tombola.train.networks.generate.boltzmann import Boltzmann
from tombola.train.networks.generate.gibbs import walk_by_turns
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.recipe.recipe import Section

MOST_PIXELS = 4096  # every two of them have a place in a matrix


class MrfSettings(Section):
    """Pixels up to `reach` rows and columns apart are tied; each tie is learned by pseudo-likelihood (Besag
    1975). flipped: the share of pixels that are taken to be wrong in a picture that is encoded, which says
    how much the field may change. settling: rounds in which it is found what was meant.

    samples_after: rounds from random numbers to a picture. conditional: never, for it is not told labels.
    """

    kind: Literal["mrf"]
    reach: int = Field(default=2, ge=1, le=5)
    flipped: float = Field(default=0.1, gt=0, lt=0.5)
    settling: int = Field(default=20, ge=1, le=1000)
    samples_after: int = Field(default=50, ge=1, le=10_000)
    conditional: Literal[False] = False


class Mrf(nn.Module):
    """Pictures float [B, 1, h, w] of 0..1, of which each level is the probability of a white pixel.

    Latents, as many as pixels, are log odds of white: of a picture those that its neighbours leave it with;
    random ones say where a chain starts, and seed it.
    """

    encodes = True
    n_labels = 0
    turns: Tensor

    def __init__(self, settings: MrfSettings, shape: PictureShape) -> None:
        super().__init__()
        if shape.channels != 1 or shape.size > MOST_PIXELS:
            raise RecipeError(
                f"a field ties pixels of one channel, {MOST_PIXELS} at most; set picture.channels = 1 and a "
                f"smaller picture.size than {[shape.height, shape.width]}"
            )
        self.shape = shape
        self.latent_size = shape.size
        self.samples_after = settings.samples_after
        self.settling = settings.settling
        self.doubt = float(torch.logit(torch.tensor(1 - settings.flipped)))
        rows, columns = torch.meshgrid(torch.arange(shape.height), torch.arange(shape.width), indexing="ij")
        places = torch.stack([rows, columns], -1).view(-1, 2)
        near = (places[:, None] - places[None]).abs().amax(2) <= settings.reach
        # Pixels of one turn are not tied, so that they may be drawn together.
        period = settings.reach + 1
        turn = (places % period) @ torch.tensor([period, 1])
        pixels = Axis("pixels", shape.size, pinned=True)
        self.machine = Boltzmann(pixels, near)
        self.register_buffer("turns", torch.nn.functional.one_hot(turn, period**2).T.to(torch.uint8))
        self.layouts = {"turns": (None, pixels)}

    def forward(self, pixels: Tensor) -> Tensor:
        """The pseudo-likelihood of pixels 0 and 1, float [B, c, h, w], in nats [B]."""
        return self.machine.pseudo_likelihood(pixels.flatten(1))

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Log odds of white, [B, pixels]: mean field, what is seen being wrong with the chance `flipped`."""
        seen = (2 * images.flatten(1) - 1) * self.doubt
        odds = seen
        for _ in range(self.settling):
            odds = (odds + seen + self.machine.odds(odds.sigmoid())) / 2  # half a step each: none swings
        return odds

    def told(self, latents: Tensor) -> Tensor:
        """Probabilities of white, [n, pixels]."""
        return latents.sigmoid()

    def start(self, latents: Tensor) -> Tensor:
        """The pixels 0 or 1 that a chain of these latents starts with, [n, pixels]."""
        return (latents > 0).to(latents.dtype)

    def walk(self, latents: Tensor, pixels: Tensor, steps: Tensor) -> Tensor:
        """Pixels after so many rounds, int64 [], of the chain that these latents are the seed of."""
        return walk_by_turns(
            self.machine.ties, self.machine.all.bias, self.turns.to(pixels.dtype), latents, pixels, steps
        )

    def levels(self, pixels: Tensor) -> Tensor:
        """float [n, c, h, w]."""
        return pixels.unflatten(1, tuple(self.shape))  # type: ignore[no-any-return]

    def reconstruct(self, latents: Tensor) -> Tensor:
        """The picture that was meant, float [n, c, h, w] of 0..1."""
        return self.levels(self.told(latents))

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The picture at the end of the chain of these latents, float [n, c, h, w] of 0 and 1."""
        steps = torch.tensor(self.samples_after, device=latents.device)
        return self.levels(self.walk(latents, self.start(latents), steps))
