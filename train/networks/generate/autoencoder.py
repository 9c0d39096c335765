"""Autoencoders: pictures through few numbers and back, from a linear one to one that takes noise away."""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.classify.mlp import Width
from tombola.train.networks.generate.decoder import ConvDecoder, DenseDecoder
from tombola.train.networks.generate.encoder import ConvEncoder, DenseEncoder
from tombola.train.networks.generate.rows import RowDecoder, RowEncoder
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.tied import Dictionary, Gain, TiedDecoder
from tombola.train.networks.generate.vae import LAST_WIDTH, Latents
from tombola.train.networks.layers.activations import ActivationName, build_activation
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.recipe.recipe import Section

MOMENTUM = 0.02  # of the mean and deviation of codes
LEAST_DEVIATION = 1e-4  # a latent that says nothing

# A better code [B, latents] than the encoder's, of it, the patterns [c·h·w, latents] and the mean picture.
Infer = Callable[[Tensor, Tensor, Tensor], Tensor]


class AutoencoderSettings(Section):
    """latents numbers that a picture goes through. body "linear": one matrix there and one back, without a
    squashing of pixels, which finds the principal subspace; "conv" and "dense" as for a vae, widths being of
    the encoder, whose activation `code` bounds the latents ("none" does not); "recurrent": rows of pixels are
    read and written one a step, widths being layers of gated units. tied: the decoder has the matrices of the
    encoder turned around, of the bodies "dense" and "linear".

    masked: share of the pixels that are set to 0; noise: standard deviation of what is added to the levels of
    0..1. Both spoil a picture before it is encoded, and what is asked for is the clean one (Vincent et al.
    2010). sparse: weight of Σ|code|; contractive: weight of ‖∂code/∂picture‖² (Rifai et al. 2011), found by
    one random direction of the code a picture. predictive: of the body "linear", with `sparse`: the weight of
    ‖h - code‖² in predictive sparse decomposition (Kavukcuoglu et al. 2008), where the decoder learns by the
    code h that is best for a picture and the encoder to guess it. conditional: never, for it is not told
    labels.
    """

    kind: Literal["autoencoder"]
    latents: Latents = 32
    body: Literal["conv", "dense", "linear", "recurrent"] = "conv"
    widths: tuple[Width, ...] = (32, 64)
    activation: ActivationName = "relu"
    code: Literal["none", "sigmoid", "tanh"] = "none"
    tied: bool = False
    masked: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0)
    sparse: float = Field(default=0.0, ge=0)
    contractive: float = Field(default=0.0, ge=0)
    predictive: float = Field(default=0.0, ge=0)
    conditional: Literal[False] = False

    @model_validator(mode="after")
    def _layers_of_a_body(self) -> "AutoencoderSettings":
        if self.body in ("conv", "recurrent") and not self.widths:
            raise ValueError(f'body = "{self.body}" needs one width or more')
        if self.tied and (self.body not in ("dense", "linear") or self.activation == "maxout"):
            raise ValueError('tied = true is for body "dense" or "linear", with an activation but "maxout"')
        if self.predictive and (self.body != "linear" or not self.sparse or self.tied or self.code != "none"):
            raise ValueError(
                'predictive is for body = "linear" with sparse above 0, not tied and with code = "none"'
            )
        return self


class Autoencoder(nn.Module):
    """Encoder and decoder. Pictures are float [B, c, h, w] of 0..1; it knows no labels.

    Latents are the code less its mean and divided by its deviation over the training pictures, so that normal
    numbers make pictures too (as Ghosh et al. 2020, section 4, with independent latents).
    """

    encodes = True
    n_labels = 0
    mean: Tensor
    deviation: Tensor

    def __init__(self, settings: AutoencoderSettings, shape: PictureShape, axes: Axes) -> None:
        super().__init__()
        self.shape = shape
        self.latent_size = settings.latents
        self.is_linear = settings.body == "linear"
        latents = Axis("latents", settings.latents, pinned=True)
        self.encoder: ConvEncoder | DenseEncoder | RowEncoder
        self.decoder: ConvDecoder | DenseDecoder | RowDecoder | TiedDecoder | Dictionary
        back = () if self.is_linear else settings.widths[::-1]
        if settings.body == "conv":
            self.encoder = ConvEncoder(shape, settings.widths, axes)
            self.decoder = ConvDecoder(latents, shape, (*back, max(LAST_WIDTH, back[-1] // 2)), axes)
        elif settings.body == "recurrent":
            self.encoder = RowEncoder(shape, settings.widths, axes)
            self.decoder = RowDecoder(latents, shape, back, axes)
        else:
            self.encoder = DenseEncoder(shape, back[::-1], settings.activation, axes, pinned=settings.tied)
            if settings.tied:
                self.decoder = TiedDecoder(shape, back, settings.activation)
            elif settings.predictive:
                self.decoder = Dictionary(latents, shape)
            else:
                self.decoder = DenseDecoder(latents, shape, back, settings.activation, axes)
        self.to_code = nn.Sequential(Linear(self.encoder.features, latents))
        if settings.predictive:
            self.to_code += nn.Sequential(nn.Tanh(), Gain(latents))
        if settings.code != "none":
            self.to_code.append(build_activation(settings.code))
        self.register_buffer("mean", torch.zeros(settings.latents))
        self.register_buffer("deviation", torch.ones(settings.latents))
        self.layouts = {"mean": (latents,), "deviation": (latents,)}

    def code(self, images: Tensor) -> Tensor:
        """float [B, latents]."""
        return self.to_code(self.encoder(images))  # type: ignore[no-any-return]

    def levels(self, code: Tensor) -> Tensor:
        """Pictures float [n, c, h, w], of 0..1 but for a linear decoder's."""
        matrices = (self._matrices(),) if isinstance(self.decoder, TiedDecoder) else ()
        logits: Tensor = self.decoder(code, *matrices)
        return logits if self.is_linear else logits.sigmoid()

    def _matrices(self) -> list[Tensor]:
        layers = (*self.encoder.modules(), *self.to_code.modules())
        return [layer.weight for layer in layers if isinstance(layer, Linear)]

    def forward(self, images: Tensor, infer: Infer | None = None) -> tuple[Tensor, ...]:
        """The code [B, latents] and the levels [B, c, h, w] of it; with `infer` the levels of what that makes
        of the code, which comes third."""
        code = self.code(images)
        if self.training:
            with torch.no_grad():
                codes = code.to(self.mean.dtype)  # the network's own, not that of mixed precision
                self.mean.lerp_(codes.mean(0), MOMENTUM)
                self.deviation.lerp_(codes.std(0, correction=0), MOMENTUM)
        if infer is None:
            return code, self.levels(code)
        assert isinstance(self.decoder, Dictionary)
        found = infer(code.detach(), self.decoder.patterns().detach(), self.decoder.last.bias.detach())
        return code, self.levels(found), found

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Latents, float [B, latents]."""
        return (self.code(images) - self.mean) / self.deviation.clamp(min=LEAST_DEVIATION)

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Pictures of 0..1, float [n, c, h, w]."""
        return self.levels(latents * self.deviation.clamp(min=LEAST_DEVIATION) + self.mean).clamp(0, 1)
