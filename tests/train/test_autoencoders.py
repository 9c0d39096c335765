"""Autoencoders: the linear one finds the principal subspace; masks, noise and penalties do what they say."""

from itertools import product

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.generate.autoencoder import Autoencoder, AutoencoderSettings
from tombola.train.networks.generate.rows import RowDecoder, RowEncoder
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.tasks.generate.autoencoder_objective import AutoencoderObjective, squared_jacobian
from tombola.train.tasks.generate.sparse_code import sparse_code
from tombola.train.tasks.moment import Moment

LINE = PictureShape(1, 1, 5)
NOW = Moment(0, 0, 1)


def trained_linear(latents: int, *, tied: bool = False) -> tuple[Autoencoder, Tensor, Tensor]:
    """A linear autoencoder at its best on pictures of covariance diag(5, 3, 1, .6, .4), turned; with the
    pictures and the turn."""
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
    design = torch.linalg.qr(torch.randn(40, 6, dtype=torch.float64))[0]
    design = torch.linalg.qr(torch.cat([torch.ones(40, 1, dtype=torch.float64), design[:, :5]], 1))[0][:, 1:]
    pictures = (40**0.5 * design * torch.tensor([5, 3, 1, 0.6, 0.4]).sqrt()) @ turn.T
    settings = AutoencoderSettings(kind="autoencoder", latents=latents, body="linear", tied=tied)
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
    back = torch.linalg.qr(network.decoder.get_parameter("last.weight").detach())[0]
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


def test_a_tied_linear_one_ends_at_directions_of_length_1_that_are_at_right_angles() -> None:
    """W Wᵀ = I at the least of ‖x - Wᵀ W x‖², within the principal subspace."""
    network, _, turn = trained_linear(2, tied=True)
    (matrix,) = network._matrices()
    assert torch.allclose(matrix @ matrix.T, torch.eye(2).double(), atol=1e-3)
    assert torch.allclose(matrix.T @ matrix, turn[:, :2] @ turn[:, :2].T, atol=1e-3)
    assert len([name for name, one in network.named_parameters() if one.ndim > 1]) == 1


def test_a_tied_deep_one_goes_back_through_the_same_matrices() -> None:
    settings = AutoencoderSettings(
        kind="autoencoder", latents=3, body="dense", widths=(7, 6), activation="tanh", tied=True
    )
    torch.manual_seed(4)
    network = Autoencoder(settings, PictureShape(1, 2, 5), Axes())
    first, second = (network.encoder.get_parameter(f"layers.{index}.0.weight") for index in (0, 1))
    code = torch.randn(4, 3)
    by_hand = torch.tanh(torch.tanh(code @ network.get_parameter("to_code.0.weight")) @ second) @ first
    assert torch.allclose(network.levels(code).flatten(1), by_hand.sigmoid(), atol=1e-6)


def test_rows_are_read_and_written_as_pytorch_reads_them() -> None:
    torch.manual_seed(5)
    shape, images = PictureShape(3, 4, 5), torch.randn(2, 3, 4, 5)
    encoder = RowEncoder(shape, (6, 7), Axes())
    own = nn.GRU(15, 6, batch_first=True), nn.GRU(6, 7, batch_first=True)
    for layer, cell in zip(own, encoder.cells, strict=True):
        names = ("input.weight", "hidden.weight", "input.bias", "hidden.bias")
        for name, there in zip(names, layer.parameters(), strict=True):
            there.data = cell.get_parameter(name).data
    rows = torch.stack([images[:, :, row].flatten(1) for row in range(4)], 1)
    with torch.no_grad():
        assert torch.allclose(encoder(images), own[1](own[0](rows)[0])[0][:, -1], atol=1e-6)
    decoder = RowDecoder(Axis("latents", 3, pinned=True), shape, (6,), Axes())
    made = decoder(torch.zeros(2, 3))
    assert made.shape == (2, 3, 4, 5)
    assert not torch.allclose(made[:, :, 0], made[:, :, 3])  # rows differ, though each step sees the same


def test_the_code_of_few_numbers_is_the_least_of_its_sum() -> None:
    """At the least the slope of the squares is -sparse·sign(h), or no steeper than that where h is 0."""
    torch.manual_seed(6)
    patterns = torch.nn.functional.normalize(torch.randn(10, 14, dtype=torch.float64), dim=0)
    levels, predicted = torch.randn(5, 10).double(), torch.randn(5, 14).double()
    code = sparse_code(levels, patterns, predicted, sparse=0.8, predictive=0.3, steps=3000)
    slope = 2 * (code @ patterns.T - levels) @ patterns + 0.6 * (code - predicted)
    used = code != 0
    assert 0.1 < used.double().mean() < 0.9
    assert torch.allclose(slope[used], -0.8 * code[used].sign(), atol=1e-6)
    assert (slope[~used].abs() <= 0.8 + 1e-6).all()


def test_a_predictive_one_learns_patterns_and_to_guess_their_code() -> None:
    settings = AutoencoderSettings(kind="autoencoder", latents=6, body="linear", sparse=0.05, predictive=1.0)
    torch.manual_seed(7)
    shape = PictureShape(1, 3, 4)
    images = ((torch.rand(64, 5) < 0.3).float() @ torch.rand(5, 12)).view(64, 1, 3, 4)
    network, objective = Autoencoder(settings, shape, Axes()), AutoencoderObjective(settings, shape)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    parts = []
    for _ in range(150):
        losses = objective.losses(network, images, None, images.new_zeros(64, 0), NOW)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        parts.append({name: float(part.detach()) for name, part in losses.items()})
    assert set(parts[0]) == {"reconstruction", "sparse", "prediction"}
    assert sum(parts[-1].values()) < 0.3 * sum(parts[0].values())
    error = objective.scores(network.eval(), images, None, images.new_zeros(64, 0))["loss"].mean()
    assert error < 0.2 * (images - images.mean(0)).square().sum((1, 2, 3)).mean()  # by the guess alone


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"body": "conv", "tied": True}, "tied = true is for body"),
        ({"body": "recurrent", "widths": []}, "needs one width"),
        ({"body": "linear", "predictive": 1.0}, "sparse above 0"),
        ({"body": "dense", "predictive": 1.0, "sparse": 0.1}, 'body = "linear"'),
    ],
)
def test_what_does_not_go_together(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        AutoencoderSettings.model_validate({"kind": "autoencoder", **settings})
