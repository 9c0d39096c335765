"""Autoencoders: the linear one finds the principal subspace; masks, noise and penalties do what they say."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axes
from tombola.train.networks.generate.autoencoder import Autoencoder, AutoencoderSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.tasks.generate.autoencoder_objective import AutoencoderObjective, squared_jacobian
from tombola.train.tasks.moment import Moment

LINE = PictureShape(1, 1, 5)
NOW = Moment(0, 0, 1)


def trained_linear(latents: int) -> tuple[Autoencoder, Tensor, Tensor]:
    """A linear autoencoder at its best on pictures of covariance diag(5, 3, 1, .6, .4), turned; with the
    pictures and the turn."""
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
    design = torch.linalg.qr(torch.randn(40, 6, dtype=torch.float64))[0]
    design = torch.linalg.qr(torch.cat([torch.ones(40, 1, dtype=torch.float64), design[:, :5]], 1))[0][:, 1:]
    pictures = (40**0.5 * design * torch.tensor([5, 3, 1, 0.6, 0.4]).sqrt()) @ turn.T
    settings = AutoencoderSettings(kind="autoencoder", latents=latents, body="linear")
    network = Autoencoder(settings, LINE, Axes()).double()
    images = pictures.view(40, 1, 1, 5)
    objective = AutoencoderObjective(settings, LINE)
    optimizer = torch.optim.LBFGS(
        network.parameters(), max_iter=2000, tolerance_grad=1e-10, tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective.losses(network, images, None, images.new_zeros(40, 0), NOW)["reconstruction"]
        loss.backward()
        return loss

    optimizer.step(closure)
    return network, images, turn


def test_the_linear_one_ends_at_the_principal_subspace() -> None:
    """Its error is the sum of the eigenvalues that are left out: 1 + .6 + .4."""
    network, images, turn = trained_linear(2)
    objective = AutoencoderObjective(AutoencoderSettings(kind="autoencoder", latents=2, body="linear"), LINE)
    error = objective.scores(network, images, None, images.new_zeros(40, 0))["loss"].mean()
    assert error.item() == pytest.approx(2.0, abs=1e-5)
    back = torch.linalg.qr(network.decoder.last.weight.detach())[0]
    assert torch.allclose(back @ back.T, turn[:, :2] @ turn[:, :2].T, atol=1e-3)


def test_with_as_many_latents_as_levels_nothing_is_lost() -> None:
    network, images, _ = trained_linear(5)
    assert torch.allclose(network.eval()(images)[1], images, atol=1e-4)


def test_the_jacobian_of_a_sigmoid_layer() -> None:
    """W = [[1, 2], [0, -1]], b = 0, x = 0: ‖J‖² = Σ (h (1 - h))² Σ W² = 0.375."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    signs = torch.tensor(list(product((-1.0, 1.0), repeat=2)))
    x = torch.zeros(4, 2, requires_grad=True)
    assert squared_jacobian(layer(x).sigmoid(), x, signs).mean().item() == pytest.approx(0.375)


def test_what_the_encoder_is_shown_and_what_is_asked_of_it() -> None:
    seen = []

    class Seer(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            seen.append(images)
            return torch.full((len(images), 3), -2.0), torch.zeros_like(images)

    shape = PictureShape(1, 4, 5)
    settings = AutoencoderSettings(kind="autoencoder", latents=3, masked=0.3, noise=0.1, sparse=0.5)
    objective = AutoencoderObjective(settings, shape)
    images = torch.full((4000, 1, 4, 5), 0.6)
    losses = objective.losses(Seer(), images, None, torch.randn(4000, objective.noise_size), NOW)
    assert losses["reconstruction"].item() == pytest.approx(20 * 0.36, rel=1e-4)  # against the clean ones
    assert losses["sparse"].item() == pytest.approx(0.5 * 6)
    hidden = seen[0] < 0.35  # 0 or 0.6, and noise of 0.1
    assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert seen[0][~hidden].std().item() == pytest.approx(0.1, abs=0.01)


def test_a_penalty_on_the_code_reaches_the_encoder() -> None:
    settings = AutoencoderSettings(
        kind="autoencoder", latents=2, body="dense", widths=(6,), activation="tanh", contractive=1.0
    )
    torch.manual_seed(1)
    network = Autoencoder(settings, PictureShape(1, 4, 5), Axes())
    objective = AutoencoderObjective(settings, PictureShape(1, 4, 5))
    losses = objective.losses(
        network, torch.rand(3, 1, 4, 5), None, torch.randn(3, objective.noise_size), NOW
    )
    losses["contractive"].backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in network.encoder.parameters() if p.ndim > 1
    )


def test_latents_are_normal_and_come_back() -> None:
    settings = AutoencoderSettings(kind="autoencoder", latents=3, body="dense", widths=(8,))
    torch.manual_seed(2)
    network = Autoencoder(settings, PictureShape(1, 4, 5), Axes()).train()
    images = torch.rand(500, 1, 4, 5)
    for _ in range(400):
        network(images)
    network.eval()
    with torch.no_grad():
        latents = network.encode(images)
        assert torch.allclose(latents.mean(0), torch.zeros(3), atol=1e-2)
        assert torch.allclose(latents.std(0), torch.ones(3), atol=1e-2)
        assert torch.allclose(network.decode(latents), network(images)[1], atol=1e-5)
