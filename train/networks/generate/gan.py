"""Generative adversarial networks (Goodfellow et al. 2014): DCGAN's generator against a critic with spectral
norm, both told the label."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, flattened, layout_of
from tombola.train.networks.classify.mlp import Width
from tombola.train.networks.generate.decoder import ConvDecoder
from tombola.train.networks.generate.shape import PictureShape, with_labels
from tombola.train.networks.generate.vae import Latents
from tombola.train.networks.layers.spectral import SpectralConv, SpectralLinear
from tombola.train.recipe.recipe import Section

SLOPE = 0.2  # of leaky ReLU below 0, as in DCGAN


class GanSettings(Section):
    """latents numbers of which a picture is made. widths: channels of the generator's maps, the smallest
    first, each with twice the sides of the one before. critic_widths: those of the critic, each with half the
    sides, but the last, which keeps them. conditional: both are told the label.

    loss "non-saturating" is -log D(G(z)), "minimax" log(1 - D(G(z))) (Goodfellow et al. 2014, section 3).
    critic_steps: how often the critic learns for each time that the generator does, both from the same
    pictures. critic_rate: factor on its learning rate (two time scales, Heusel et al. 2017). r1 penalises the
    critic's slope at real pictures by r1/2·‖∇D‖² (Mescheder et al. 2018), every r1_every steps and as much
    more (Karras et al. 2020); 0 is never. beta1: of Adam, for both.
    """

    kind: Literal["gan"]
    latents: Latents = 64
    widths: tuple[Width, ...] = Field(default=(128, 64, 32), min_length=2)
    critic_widths: tuple[Width, ...] = Field(default=(32, 64, 128), min_length=2)
    conditional: bool = True
    loss: Literal["non-saturating", "minimax"] = "non-saturating"
    critic_steps: int = Field(default=1, ge=1, le=20)
    critic_rate: float = Field(default=1.0, gt=0)
    r1: float = Field(default=0.0, ge=0)
    r1_every: int = Field(default=16, ge=1)
    beta1: float = Field(default=0.5, ge=0, lt=1)


class Critic(nn.Module):
    """How real pictures look: float [B, c, h, w] of 0..1 and int64 [B] -> logits [B].

    The label comes in as a product with the features (Miyato & Koyama 2018, equation 3).
    """

    def __init__(self, shape: PictureShape, widths: Sequence[int], n_labels: int) -> None:
        super().__init__()
        height, width = shape.shrunk(len(widths) - 1)
        reads = Axis("picture", shape.channels, pinned=True)
        self.layers = nn.Sequential()
        for index, channels in enumerate(widths):
            writes = Axis(f"critic.{index}", channels, pinned=True)  # it is in no file: nothing is gained
            halves = index < len(widths) - 1
            layer = SpectralConv(reads, writes, 4 if halves else 3, stride=2 if halves else 1, padding=1)
            self.layers += nn.Sequential(layer, nn.LeakyReLU(SLOPE))
            reads = writes
        features = flattened(reads, height * width)
        self.real = SpectralLinear(features, Axis("real", 1, pinned=True))
        told = Axis("labels", n_labels, pinned=True)
        self.of_label = SpectralLinear(features, told, bias=False) if n_labels else None

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        features = self.layers(2 * images - 1).flatten(1)
        logits: Tensor = self.real(features)
        if self.of_label is not None and labels is not None:
            logits = logits + self.of_label(features).gather(1, labels[:, None])
        return logits[:, 0]


class Gan(nn.Module):
    """Generator and critic. Pictures are float [n, c, h, w] of 0..1, labels int64 [n], None without them."""

    encodes = False
    only_teaches = ("critic",)

    def __init__(self, settings: GanSettings, shape: PictureShape, n_labels: int, axes: Axes) -> None:
        super().__init__()
        self.shape = shape
        self.latent_size = settings.latents
        self.n_labels = n_labels if settings.conditional else 0
        latents = layout_of(Axis("latents", settings.latents, pinned=True))
        told = layout_of(Axis("labels", self.n_labels, pinned=True)) if self.n_labels else ()
        self.generator = ConvDecoder((*latents, *told), shape, settings.widths, axes)
        self.critic = Critic(shape, settings.critic_widths, self.n_labels)

    def decode(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Pictures of 0..1, float [n, c, h, w]."""
        logits: Tensor = self.generator(with_labels(latents, labels, self.n_labels))
        return logits.sigmoid()

    def forward(
        self, latents: Tensor, labels: Tensor | None, real: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The critic's logits [n] of generated pictures; with real ones, [B, c, h, w], theirs [B] first.

        Where there are real ones the generator does not learn.
        """
        if real is None:
            return (self.critic(self.decode(latents, labels), labels),)
        with torch.no_grad():
            made = self.decode(latents, labels)
        both = torch.cat([real, made.to(real.dtype)])
        told = None if labels is None else torch.cat([labels, labels])
        logits: Tensor = self.critic(both, told)
        return logits.chunk(2)
