"""Generators by the `network` table of a recipe."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from tombola.train.networks.axis import Axes
from tombola.train.networks.generate.autoencoder import Autoencoder, AutoencoderSettings
from tombola.train.networks.generate.gan import Gan, GanSettings
from tombola.train.networks.generate.gaussian_mrf import GaussianMrf, GaussianMrfSettings
from tombola.train.networks.generate.linear_gaussian import LinearGaussian, LinearGaussianSettings
from tombola.train.networks.generate.mrf import Mrf, MrfSettings
from tombola.train.networks.generate.rbm import Rbm, RbmSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.vae import Vae, VaeSettings

NetworkSettings = Annotated[
    VaeSettings
    | GanSettings
    | AutoencoderSettings
    | LinearGaussianSettings
    | GaussianMrfSettings
    | RbmSettings
    | MrfSettings,
    Field(discriminator="kind"),
]
Walking = Rbm | Mrf  # those whose pictures lie at the end of a chain
Completing = LinearGaussian | GaussianMrf  # those that tell what is missing of a picture
Encoding = Vae | Autoencoder | LinearGaussian | GaussianMrf | Walking  # those that also encode
Generator = Encoding | Gan


def build_generator(
    settings: NetworkSettings, shape: PictureShape, n_labels: int, widths: Mapping[str, int] | None = None
) -> Generator:
    """A network with fresh weights: `decode` makes pictures of latents, `encode` latents of pictures where it
    `encodes`. n_labels: classes of the pictures; `widths` by the name of an axis stand in for those of the
    settings.

    Raises RecipeError if pictures of that shape do not suit it, TrainingError for widths of another network.
    """
    axes = Axes(widths)
    network: Generator
    match settings:
        case VaeSettings():
            network = Vae(settings, shape, n_labels, axes)
        case GanSettings():
            network = Gan(settings, shape, n_labels, axes)
        case AutoencoderSettings():
            network = Autoencoder(settings, shape, axes)
        case LinearGaussianSettings():
            network = LinearGaussian(settings, shape)
        case RbmSettings():
            network = Rbm(settings, shape)
        case MrfSettings():
            network = Mrf(settings, shape)
        case GaussianMrfSettings():
            network = GaussianMrf(settings, shape)
    axes.check_all_used()
    return network


def reconstruct(network: Encoding, images: Tensor, labels: Tensor | None) -> Tensor:
    """What the network keeps of pictures float [B, c, h, w] of 0..1; a chain would lead away from them."""
    latents = network.encode(images, labels)
    return network.reconstruct(latents) if isinstance(network, Walking) else network.decode(latents, labels)
