"""Networks that generate: shapes at sides that differ, one picture as in a batch, norms that hold."""

import pytest
import torch
from torch import nn

from tombola.errors import RecipeError
from tombola.export.graph.fold import FoldedTransposed, fold
from tombola.train.networks.axis import Axis, members
from tombola.train.networks.generate.autoencoder import AutoencoderSettings
from tombola.train.networks.generate.gan import Gan, GanSettings
from tombola.train.networks.generate.generators import Encoding, Generator, NetworkSettings, build_generator
from tombola.train.networks.generate.linear_gaussian import LinearGaussianSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.vae import VaeSettings
from tombola.train.networks.layers.spectral import SpectralConv, SpectralLinear

SETTINGS: list[NetworkSettings] = [
    LinearGaussianSettings(kind="linear_gaussian", latents=3),
    AutoencoderSettings(kind="autoencoder", latents=3, widths=(4, 8)),
    VaeSettings(kind="vae", latents=3, widths=(4, 8)),
    VaeSettings(kind="vae", latents=3, body="dense", widths=(9, 7), conditional=False),
    GanSettings(kind="gan", latents=3, widths=(8, 6, 4), critic_widths=(4, 6, 8)),
    GanSettings(kind="gan", latents=3, widths=(8, 6, 4), critic_widths=(4, 6, 8), conditional=False),
]
SHAPES = [PictureShape(1, 8, 12), PictureShape(3, 12, 8)]


def network_of(settings: NetworkSettings, shape: PictureShape) -> Generator:
    torch.manual_seed(0)
    network = build_generator(settings, shape, n_labels=5)
    network.train()
    for _ in range(3):  # statistics of batch norm other than the first
        network.decode(torch.randn(6, 3), torch.arange(6) % 5 if network.n_labels else None)
    return network.eval()


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda one: f"{one.kind}-{one.conditional}")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_picture_is_as_in_a_batch(settings: NetworkSettings, shape: PictureShape) -> None:
    network = network_of(settings, shape)
    latents, labels = torch.randn(4, 3), torch.tensor([0, 4, 2, 2]) if network.n_labels else None
    with torch.no_grad():
        made = network.decode(latents, labels)
        alone = torch.cat(
            [
                network.decode(latents[i : i + 1], labels[i : i + 1] if labels is not None else None)
                for i in range(4)
            ]
        )
        assert made.shape == (4, *shape)
        assert torch.allclose(made, alone, atol=1e-6)
        assert ((made >= 0) & (made <= 1)).all()
        if labels is not None:
            assert not torch.allclose(made, network.decode(latents, labels.roll(1)), atol=1e-4)
        if isinstance(network, Encoding):
            assert network.encode(made, labels).shape == (4, 3)
        assert torch.allclose(fold(network).decode(latents, labels), made, atol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda one: f"{one.kind}-{one.conditional}")
def test_every_tensor_lies_on_axes(settings: NetworkSettings) -> None:
    axes = members(network_of(settings, SHAPES[0]))
    assert {axis.name for axis in axes if axis.pinned} >= {"latents", "pixels"}
    assert all(isinstance(axis, Axis) for axis in axes)


def test_sides_that_cannot_be_halved() -> None:
    with pytest.raises(RecipeError, match=r"no multiple of 4"):
        build_generator(SETTINGS[2], PictureShape(1, 28, 30), 5)


@pytest.mark.parametrize(
    "layer", [SpectralConv(Axis("a", 3), Axis("b", 5), 3), SpectralLinear(Axis("a", 4), Axis("b", 6))]
)
def test_spectral_norm_is_the_largest_singular_value(layer: SpectralConv | SpectralLinear) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 3, 6, 6) if isinstance(layer, SpectralConv) else torch.randn(2, 4)
    for _ in range(200):
        layer(x)
    sigma = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
    plain = nn.functional.conv2d if isinstance(layer, SpectralConv) else nn.functional.linear
    with torch.no_grad():
        expected = plain(x, layer.weight / sigma, layer.bias)
        before = layer.eval().u.clone()
        assert torch.allclose(layer(x), expected, atol=1e-4)
        assert torch.equal(layer.u, before)


def test_the_critic_takes_real_and_generated_pictures_alike() -> None:
    network = network_of(SETTINGS[4], SHAPES[0])
    assert isinstance(network, Gan)
    latents, labels, real = torch.randn(4, 3), torch.tensor([0, 1, 2, 3]), torch.rand(4, 1, 8, 12)
    with torch.no_grad():
        of_real, of_made = network(latents, labels, real)
        (again,) = network(latents, labels)
        assert torch.allclose(of_made, again, atol=1e-5)
        assert torch.allclose(of_real, network.critic(real, labels), atol=1e-5)
        assert not torch.allclose(of_real, network.critic(real, labels.roll(1)), atol=1e-4)


def test_a_transposed_convolution_is_exported_with_its_norm_inside() -> None:
    folded = fold(network_of(SETTINGS[4], SHAPES[0]))
    assert sum(isinstance(module, FoldedTransposed) for module in folded.modules()) == 2
