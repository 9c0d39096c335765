"""Variational autoencoders (Kingma & Welling 2014), conditional where labels are known (Sohn et al. 2015)."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, layout_of
from tombola.train.networks.classify.mlp import Width
from tombola.train.networks.generate.decoder import ConvDecoder, DenseDecoder
from tombola.train.networks.generate.encoder import ConvEncoder, DenseEncoder
from tombola.train.networks.generate.shape import PictureShape, with_labels
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.recipe.recipe import Section

LAST_WIDTH = 16  # least channels of the map that pixels are made of
Latents = Annotated[int, Field(ge=1, le=4096)]


class VaeSettings(Section):
    """latents numbers of which a picture is made. body "conv": widths are channels, and each halves the sides
    of the map; "dense": they are units of fully connected tanh layers. The decoder has them in reverse.

    conditional: encoder and decoder are told the label. binary: every grey level is the probability of a
    white pixel, and pixels are drawn anew at every step ("dynamic binarisation"); without it the level itself
    stands in the Bernoulli likelihood. samples: k of the bound of Burda et al. 2016; 1 is the VAE's own, with
    the KL divergence in closed form, whose weight grows from 0 to 1 over the first kl_warmup_steps.
    """

    kind: Literal["vae"]
    latents: Latents = 32
    body: Literal["conv", "dense"] = "conv"
    widths: tuple[Width, ...] = Field(default=(32, 64), min_length=1)
    conditional: bool = True
    binary: bool = False
    samples: int = Field(default=1, ge=1, le=1000)
    kl_warmup_steps: int = Field(default=0, ge=0)


class Posterior(NamedTuple):
    """A Gaussian over latents for each picture: mean and log variance, float [B, latents] each."""

    mean: Tensor
    log_variance: Tensor


class Vae(nn.Module):
    """Encoder and decoder. Pictures are float [B, c, h, w] of 0..1, labels int64 [B], None without them."""

    encodes = True

    def __init__(self, settings: VaeSettings, shape: PictureShape, n_labels: int, axes: Axes) -> None:
        super().__init__()
        self.shape = shape
        self.latent_size = settings.latents
        self.n_labels = n_labels if settings.conditional else 0
        latents = Axis("latents", settings.latents, pinned=True)
        told = layout_of(Axis("labels", self.n_labels, pinned=True)) if self.n_labels else ()
        reads, back = (*layout_of(latents), *told), settings.widths[::-1]
        self.encoder: ConvEncoder | DenseEncoder
        self.decoder: ConvDecoder | DenseDecoder
        if settings.body == "conv":
            self.encoder = ConvEncoder(shape, settings.widths, axes)
            self.decoder = ConvDecoder(reads, shape, (*back, max(LAST_WIDTH, back[-1] // 2)), axes)
        else:
            self.encoder = DenseEncoder(shape, settings.widths, "tanh", axes)
            self.decoder = DenseDecoder(reads, shape, back, "tanh", axes)
        features = (*layout_of(self.encoder.features), *told)
        self.mean = Linear(features, latents)
        self.log_variance = Linear(features, latents)

    def posterior(self, images: Tensor, labels: Tensor | None) -> Posterior:
        """q(z | x, y)."""
        features = with_labels(self.encoder(images), labels, self.n_labels)
        return Posterior(self.mean(features), self.log_variance(features))

    def logits(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """float [n, latents] -> [n, c, h, w]."""
        return self.decoder(with_labels(latents, labels, self.n_labels))  # type: ignore[no-any-return]

    def forward(
        self, images: Tensor, labels: Tensor | None, noise: Tensor
    ) -> tuple[Posterior, Tensor, Tensor]:
        """noise: float [B, k, latents], standard normal. Returns the posterior, latents [B, k, latents] drawn
        from it by the reparameterisation mean + deviation · noise, and logits [B, k, c, h, w]."""
        found = self.posterior(images, labels)
        latents = found.mean[:, None] + (0.5 * found.log_variance).exp()[:, None] * noise
        told = None if labels is None else labels.repeat_interleave(noise.shape[1])
        return found, latents, self.logits(latents.flatten(0, 1), told).unflatten(0, noise.shape[:2])

    def encode(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """The mean of the posterior, float [B, latents]."""
        return self.posterior(images, labels).mean

    def decode(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Pictures of 0..1, float [n, c, h, w]."""
        return self.logits(latents, labels).sigmoid()
