"""Probabilistic PCA and factor analysis against their worked numbers, scikit-learn, and each other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import FactorAnalysis

from tests.train.test_generate_task import RECIPE
from tombola.train.networks.generate.linear_gaussian import LinearGaussian, LinearGaussianSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.tasks.generate.linear_gaussian_objective import (
    LinearGaussianObjective,
    em_step,
    fit_factors,
    fit_ppca,
    posterior_reads,
)
from tombola.train.train import train_recipe

LINE = PictureShape(1, 1, 5)
EIGENVALUES = torch.tensor([5, 3, 1, 0.6, 0.4], dtype=torch.float64)


def fitted(noise: str, covariance: torch.Tensor, latents: int = 2) -> LinearGaussian:
    settings = LinearGaussianSettings.model_validate(
        {"kind": "linear_gaussian", "latents": latents, "noise": noise, "em_steps": 500}
    )
    network = LinearGaussian(settings, LINE).double()
    LinearGaussianObjective(settings).fit(network, torch.zeros(5, dtype=torch.float64), covariance)
    return network


def test_ppca_of_a_diagonal_covariance() -> None:
    """σ² = (1 + .6 + .4) / 3, columns of W of length √(λ - σ²), log-likelihood -7.840520 a picture."""
    weight, variance = fit_ppca(EIGENVALUES.diag(), 2)
    assert variance.tolist() == pytest.approx([2 / 3] * 5)
    assert weight.norm(dim=0).tolist() == pytest.approx([2.081666, 1.527525], abs=1e-6)
    network = fitted("ppca", EIGENVALUES.diag())
    # Pictures whose second moments are just these: ±√(5 λ) along each axis.
    axes = (5 * EIGENVALUES).sqrt().diag()
    images = torch.cat([axes, -axes]).view(10, 1, 1, 5)
    assert network(images).mean().item() == pytest.approx(-7.840520, abs=1e-6)


def test_what_ppca_finds_in_a_picture() -> None:
    network = fitted("ppca", EIGENVALUES.diag())
    x = torch.tensor([2.0, 1, 0, 0, 0], dtype=torch.float64).view(1, 1, 1, 5)
    latents = network.encode(x)[0]
    assert latents.abs().tolist() == pytest.approx([0.832666, 0.509175], abs=1e-6)
    # (1 - σ²/λ) x along each component
    assert (latents @ network.back.weight.T)[:2].tolist() == pytest.approx([1.733333, 0.777778], abs=1e-6)


def test_as_the_noise_goes_the_posterior_mean_is_the_projection() -> None:
    weight, _ = fit_ppca(torch.diag(torch.tensor([5, 3, 0, 0, 0], dtype=torch.float64)), 2)
    reads = posterior_reads(weight, torch.full((5,), 1e-9, dtype=torch.float64))
    assert torch.allclose(weight @ reads.T, torch.diag(torch.tensor([1.0, 1, 0, 0, 0]).double()), atol=1e-6)


def test_factors_of_a_covariance_that_has_them() -> None:
    """W = (1, 2, -1), Ψ = (.5, 1, 2) is the covariance [[1.5, 2, -1], [2, 5, -2], [-1, -2, 3]]."""
    covariance = torch.tensor([[1.5, 2, -1], [2, 5, -2], [-1, -2, 3]], dtype=torch.float64)
    weight, variance = fit_factors(covariance, 1, 1000)
    assert torch.allclose(weight @ weight.T + variance.diag(), covariance, atol=1e-4)
    assert variance.tolist() == pytest.approx([0.5, 1, 2], abs=1e-2)


def test_no_step_of_em_lowers_the_likelihood() -> None:
    root = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    covariance = root @ root.T + torch.eye(6).double()
    weight, variance = fit_ppca(covariance, 2)
    before = -float("inf")
    for _ in range(30):
        model = weight @ weight.T + variance.diag()
        now = -0.5 * (torch.logdet(model) + torch.linalg.solve(model, covariance).trace()).item()
        assert now >= before - 1e-10
        before, (weight, variance) = now, em_step(covariance, weight, variance)


def test_factors_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2000, 1)) @ rng.standard_normal((1, 5)) + rng.standard_normal((2000, 5)) * [
        0.3, 0.5, 1, 0.4, 0.8
    ]  # fmt: skip
    reference = FactorAnalysis(1, tol=1e-4, max_iter=5000, svd_method="lapack").fit(rows)
    network = fitted("factors", torch.from_numpy(np.cov(rows.T, bias=True)), latents=1)
    images = torch.from_numpy(rows - rows.mean(0)).view(-1, 1, 1, 5)
    assert network(images).mean().item() == pytest.approx(reference.score(rows), abs=1e-3)
    assert network.variance.tolist() == pytest.approx(reference.noise_variance_.tolist(), abs=3e-2)


@pytest.mark.slow
def test_it_trains_by_recipe_in_one_epoch(digits_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE.replace("ROOT", str(digits_data)).replace("widths = [4, 8]", ""))
    changes = ("network.kind=linear_gaussian", "network.latents=6", "training.epochs=1")
    run = train_recipe(path, tmp_path / "run", overrides=changes, quiet=True)
    (row,) = run.read_metrics()
    plain = train_recipe(path, tmp_path / "one", overrides=(*changes, "network.latents=1"), quiet=True)
    assert row["valid_loss"] < plain.read_metrics()[0]["valid_loss"]
    weights = run.read_weights("best")
    images = torch.rand(3, 64).double()
    weight, mean, variance = (weights[name].double() for name in ("back.weight", "back.bias", "variance"))
    scaled = weight / variance[:, None]
    expected = (images - mean) @ scaled @ torch.linalg.inv(torch.eye(6).double() + scaled.T @ weight)
    found = images @ weights["there.weight"].double().T + weights["there.bias"].double()
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3)
