"""What a picture lacks, from what is known of it: against solving the equations as they stand."""

import pytest
import torch

from tombola.train.networks.generate.gaussian_mrf import GaussianMrf, GaussianMrfSettings, conditional_mean
from tombola.train.networks.generate.linear_gaussian import LinearGaussian, LinearGaussianSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.layers.solve import conjugate_gradients
from tombola.train.tasks.generate.linear_gaussian_objective import LinearGaussianObjective

SHAPE = PictureShape(1, 4, 5)


def moments() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(500, 20, generator=generator, dtype=torch.float64).cumsum(1) / 10 + 0.5
    return rows.mean(0), torch.cov(rows.T)


def test_conjugate_gradients_solve() -> None:
    root = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    matrix = root @ root.T + 0.1 * torch.eye(6)
    right = torch.randn(3, 6, dtype=torch.float64)
    found = conjugate_gradients(lambda x: x @ matrix, right, matrix.diagonal(), 8)
    assert torch.allclose(found @ matrix, right, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        GaussianMrfSettings(kind="gaussian_mrf", reach=2),
        LinearGaussianSettings(kind="linear_gaussian", latents=4),
        LinearGaussianSettings(kind="linear_gaussian", latents=3, noise="factors"),
    ],
    ids=["field", "ppca", "factors"],
)
@torch.no_grad()
def test_the_rest_of_a_picture(settings: GaussianMrfSettings | LinearGaussianSettings) -> None:
    mean, covariance = moments()
    network: GaussianMrf | LinearGaussian
    if isinstance(settings, GaussianMrfSettings):
        network = GaussianMrf(settings, SHAPE).double()
    else:
        network = LinearGaussian(settings, SHAPE).double()
    LinearGaussianObjective(settings).fit(network, mean, covariance)
    images = torch.distributions.MultivariateNormal(mean, covariance).sample((1,)).view(1, *SHAPE)
    missing = torch.zeros(1, *SHAPE, dtype=torch.float64)
    missing[..., 2:] = 1
    latents = network.complete(images, missing)
    found = network.back(latents)[0]
    known = missing.flatten() == 0
    if isinstance(network, GaussianMrf):
        expected = conditional_mean(network.precision, mean, images.flatten(), known)
        assert torch.allclose(found, expected, atol=1e-6)
    else:
        weight = network.back.weight
        joint = weight @ weight.T + network.variance.diag()
        share = torch.linalg.solve(joint[known][:, known], (images.flatten() - mean)[known])
        assert torch.allclose(latents[0], share @ weight[known], atol=1e-6)
        assert torch.allclose(network.complete(images, torch.zeros_like(missing)), network.encode(images))
