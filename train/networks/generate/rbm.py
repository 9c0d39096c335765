"""Restricted Boltzmann machines (Smolensky 1986; Hinton 2002), of black and white pixels or grey levels."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axis, flattened
from tombola.train.networks.generate.gibbs import walk
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.vae import Latents
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.recipe.recipe import Section

FIRST_DEVIATION = 0.01  # of weights (Hinton 2012, section 8)
LEAST_SHARE = 1e-3  # of pictures that have a pixel white, so that its log odds are finite
LEAST_DEVIATION = 0.05  # of a level: one that is 0 in all pictures would be blown up


class RbmSettings(Section):
    """hidden units, each tied to all pixels and to no other hidden unit. visible "binary": every grey level
    is the probability of a white pixel, and pixels are drawn anew at every step ("dynamic binarisation");
    "gaussian": levels, standardised by the training pictures, with a variance of 1 around what the hidden
    units say; its learning rate is a tenth of the recipe's.

    steps: k of contrastive divergence (CD-k; Hinton 2002), down and up again. persistent: they go on from
    where the last step left `chains` of them (PCD; Tieleman 2008), not from the batch. centred: the gradient
    of units less their means, which is the same for a picture and its negative (Melchior et al. 2016).

    samples_after: steps from random numbers to a picture. conditional: never, for it is not told labels.
    """

    kind: Literal["rbm"]
    hidden: Latents = 500
    visible: Literal["binary", "gaussian"] = "binary"
    steps: int = Field(default=1, ge=1, le=1000)
    persistent: bool = True
    chains: int = Field(default=100, ge=1, le=10_000)
    centred: bool = True
    samples_after: int = Field(default=200, ge=1, le=100_000)
    conditional: Literal[False] = False


class Rbm(nn.Module):
    """p(v, h) = exp(-E) / Z for E = -hᵀ W v - bᵀ h - cᵀ v, and ½‖v‖² more of Gaussian visible units.

    Pictures are float [B, c, h, w] of 0..1. Visible units v, float [B, pixels], are pixels of 0 and 1, or
    levels less `mean` over `deviation`; hidden ones, float [B, hidden], are 0 and 1. up has the weight W
    [hidden, pixels] and the bias b, visible_bias is c.

    centre, activity: means of visible and of hidden units over training pictures. base: c of the machine
    without hidden units of the same mean. chains: hidden units uint8 [chains, hidden] of the persistent ones.

    Latents of a picture are what it tells the hidden units, less what they are told on the whole. Random ones
    say which hidden units a chain starts with, and seed it.
    """

    encodes = True
    n_labels = 0
    mean: Tensor
    deviation: Tensor
    centre: Tensor
    activity: Tensor
    base: Tensor
    chains: Tensor

    def __init__(self, settings: RbmSettings, shape: PictureShape) -> None:
        super().__init__()
        self.shape = shape
        self.latent_size = settings.hidden
        self.is_binary = settings.visible == "binary"
        self.is_centred = settings.centred
        self.samples_after = settings.samples_after
        hidden = Axis("latents", settings.hidden, pinned=True)
        pixels = flattened(Axis("pixels", shape.channels, pinned=True), shape.height * shape.width)
        self.up = Linear(pixels, hidden)
        nn.init.normal_(self.up.weight, std=FIRST_DEVIATION)
        nn.init.zeros_(self.up.bias)
        self.visible_bias = nn.Parameter(torch.zeros(shape.size))
        for name in ("mean", "centre", "base"):
            self.register_buffer(name, torch.zeros(shape.size))
        self.register_buffer("deviation", torch.ones(shape.size))
        self.register_buffer("activity", torch.full((settings.hidden,), 0.5))
        count = settings.chains if settings.persistent else 0
        self.register_buffer("chains", torch.randint(0, 2, (count, settings.hidden), dtype=torch.uint8))
        self.layouts = {
            "activity": (hidden,),
            "chains": (None, hidden),
            **dict.fromkeys(("visible_bias", "mean", "deviation", "centre", "base"), (pixels,)),
        }

    @torch.no_grad()
    def begin(self, images: Tensor) -> None:
        """Take the mean of training pictures, and what they deviate from it, for a start."""
        levels = images.flatten(1)
        share = levels.mean(0)
        if self.is_binary:
            self.centre.copy_(share)
            self.base.copy_(torch.logit(share.clamp(LEAST_SHARE, 1 - LEAST_SHARE)))
            self.visible_bias.copy_(self.base)
        else:
            self.mean.copy_(share)
            self.deviation.copy_(levels.std(0, correction=0).clamp(min=LEAST_DEVIATION))

    def visible(self, images: Tensor) -> Tensor:
        """Visible units of pictures."""
        return (images.flatten(1) - self.mean) / self.deviation

    def forward(self, visible: Tensor) -> Tensor:
        """The free energy F(v) = -log of the sum over h of exp(-E(v, h)), [B]: p(v) = exp(-F) / Z. Its
        gradient is the centred one if the settings say so."""
        parameters: tuple[Tensor, Tensor, Tensor] = (self.up.weight, self.up.bias, self.visible_bias)
        if self.is_centred and torch.is_grad_enabled():
            parameters = centred(*parameters, self.activity, self.centre)
        weight, hidden_bias, visible_bias = parameters
        free_energy = -(visible @ visible_bias) - F.softplus(F.linear(visible, weight, hidden_bias)).sum(1)
        return free_energy if self.is_binary else free_energy + 0.5 * visible.square().sum(1)

    def hidden_odds(self, visible: Tensor) -> Tensor:
        """Log odds of the hidden units, [B, hidden]."""
        return self.up(visible)  # type: ignore[no-any-return]

    def visible_drive(self, hidden: Tensor) -> Tensor:
        """Log odds of binary visible units, the mean of Gaussian ones, [B, pixels]."""
        return F.linear(hidden, self.up.weight.T, self.visible_bias)

    def draw_visible(self, drive: Tensor) -> Tensor:
        """Visible units at random, of PyTorch's generator."""
        return draw(drive) if self.is_binary else drive + torch.randn_like(drive)

    def levels(self, hidden: Tensor) -> Tensor:
        """The mean picture of hidden units, which may be probabilities, float [n, c, h, w] of 0..1."""
        drive = self.visible_drive(hidden)
        levels = drive.sigmoid() if self.is_binary else (drive * self.deviation + self.mean).clamp(0, 1)
        return levels.unflatten(1, tuple(self.shape))  # type: ignore[no-any-return]

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Latents, float [B, hidden]."""
        return self.hidden_odds(self.visible(images)) - self._usual_odds

    def told(self, latents: Tensor) -> Tensor:
        """The probabilities of the hidden units that are told these latents, [n, hidden]."""
        return (latents + self._usual_odds).sigmoid()

    def start(self, latents: Tensor) -> Tensor:
        """The hidden units 0 or 1 that a chain of these latents starts with, [n, hidden]."""
        return (latents + self._usual_odds > 0).to(latents.dtype)

    def walk(self, latents: Tensor, hidden: Tensor, steps: Tensor) -> Tensor:
        """Hidden units after so many steps, int64 [], of the chain that these latents are the seed of."""
        parameters = self.up.weight, self.up.bias, self.visible_bias
        return walk(*parameters, latents, hidden, steps, binary=self.is_binary)

    def reconstruct(self, latents: Tensor) -> Tensor:
        """What is kept of a picture in its latents, float [n, c, h, w] of 0..1."""
        return self.levels(self.told(latents))

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The picture at the end of the chain of these latents, float [n, c, h, w] of 0..1."""
        steps = torch.tensor(self.samples_after, device=latents.device)
        return self.levels(self.walk(latents, self.start(latents), steps))

    @property
    def _usual_odds(self) -> Tensor:
        return torch.log(self.activity / (1 - self.activity))


def draw(odds: Tensor) -> Tensor:
    """0 or 1 at random, of PyTorch's generator: 1 with these log odds."""
    return (torch.rand_like(odds) < odds.sigmoid()).to(odds.dtype)


def centred(
    weight: Tensor, hidden_bias: Tensor, visible_bias: Tensor, activity: Tensor, centre: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same numbers, but of a gradient G, g_b, g_c that is left in them the parameters themselves get
    G' = G - g_b μᵀ - λ g_cᵀ, g_b - G' μ and g_c - G'ᵀ λ, for λ = activity and μ = centre: the gradient of
    (h - λ)ᵀ W (v - μ), brought back to hᵀ W v (Melchior et al. 2016, algorithm 1)."""
    # All 0, and through each of them a gradient goes to its parameter.
    change, of_hidden, of_visible = (one - one.detach() for one in (weight, hidden_bias, visible_bias))
    change = change - torch.outer(of_hidden, centre) - torch.outer(activity, of_visible)
    return (
        weight.detach() + change,
        hidden_bias.detach() + of_hidden - change @ centre,
        visible_bias.detach() + of_visible - activity @ change,
    )
