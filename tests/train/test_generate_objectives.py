"""What generators learn by, held to numbers that are known: bounds of VAEs, games of GANs."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axes
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.vae import Posterior, Vae, VaeSettings
from tombola.train.tasks.generate.gan_objective import critic_loss, generator_loss
from tombola.train.tasks.generate.likelihood import log_likelihood
from tombola.train.tasks.generate.vae_objective import (
    VaeObjective,
    bernoulli,
    importance_bound,
    kl_divergence,
)
from tombola.train.tasks.moment import Moment

NOW = Moment(0, 0, 10)


@pytest.mark.parametrize(
    ("mean", "variance", "expected"), [(1.0, 1.0, 0.5), (0.0, 4.0, 0.806853), (0.5, 0.25, 0.443147)]
)
def test_divergence_from_the_prior(mean: float, variance: float, expected: float) -> None:
    posterior = Posterior(torch.tensor([[mean]]), torch.tensor([[math.log(variance)]]))
    assert kl_divergence(posterior).item() == pytest.approx(expected, abs=1e-6)
    other = torch.distributions.Normal(mean, variance**0.5)
    prior = torch.distributions.Normal(0.0, 1.0)
    assert torch.distributions.kl_divergence(other, prior).item() == pytest.approx(expected, abs=1e-6)


def test_bernoulli_of_two_pixels() -> None:
    logits = torch.tensor([0.9, 0.2]).logit().view(1, 1, 1, 1, 2)
    assert bernoulli(logits, torch.tensor([1.0, 0.0]).view(1, 1, 1, 1, 2)).item() == pytest.approx(
        -0.328504, abs=1e-6
    )


def linear_gaussian_bound(mean: float, variance: float, k: int, pictures: int) -> Tensor:
    """Bounds [pictures] on log p(x) of x = 1.5 under z ~ N(0, 1), x ~ N(2 z, 1), by k samples of N(mean,
    variance)."""
    generator = torch.Generator().manual_seed(k)
    noise = torch.randn(pictures, k, 1, generator=generator, dtype=torch.float64)
    latents = mean + variance**0.5 * noise
    log_likelihoods = -0.5 * ((1.5 - 2 * latents[..., 0]).square() + math.log(2 * math.pi))
    ones = torch.ones(pictures, 1, dtype=torch.float64)
    return importance_bound(log_likelihoods, Posterior(mean * ones, math.log(variance) * ones), latents)


def test_the_bound_is_the_likelihood_under_the_true_posterior() -> None:
    """log p(1.5) of N(0, 5), whatever was drawn: each weight is p(x)."""
    bounds = linear_gaussian_bound(0.6, 0.2, k=3, pictures=50)
    assert torch.allclose(bounds, torch.tensor(-1.948657, dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize(("k", "expected"), [(1, -2.265512), (5, -1.979), (50, -1.951)])
def test_more_samples_bring_the_bound_to_the_likelihood(k: int, expected: float) -> None:
    bounds = linear_gaussian_bound(0.5, 0.5, k, pictures=200_000 // k)
    assert bounds.mean().item() == pytest.approx(expected, abs=0.008)


def test_the_likelihood_of_every_picture_sums_to_one() -> None:
    """Of all pictures of four pixels, by as many samples as a training would not take."""
    torch.manual_seed(3)
    settings = VaeSettings(kind="vae", latents=1, body="dense", widths=(3,), conditional=False, binary=True)
    network = Vae(settings, PictureShape(1, 2, 2), 0, Axes())
    pictures = torch.tensor(list(product((0.0, 1.0), repeat=4))).view(16, 1, 2, 2)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        rough, fine = (log_likelihood(network, pictures, None, k, draws) for k in (1, 3050))
        z = torch.linspace(-8, 8, 4001)[:, None]
        levels = network.decode(z, None).flatten(1)  # the integral over z, on a grid
        chances = torch.where(pictures.flatten(1)[:, None] > 0, levels, 1 - levels).prod(2)
        prior = torch.exp(-0.5 * z[:, 0].square())
        exact = (chances * prior).sum(1) / prior.sum()
    assert torch.allclose(fine.exp(), exact.double(), atol=2e-3)
    assert fine.exp().sum().item() == pytest.approx(1, abs=0.01)
    assert rough.mean() < exact.log().mean()


def test_the_gradient_goes_through_the_drawn_latents() -> None:
    """Reparameterised, the loss of fixed noise is an ordinary function of the encoder's weights."""
    torch.manual_seed(0)
    settings = VaeSettings(kind="vae", latents=2, body="dense", widths=(3,), conditional=False)
    shape = PictureShape(1, 2, 4)
    network = Vae(settings, shape, 0, Axes()).double()
    images, noise = torch.rand(5, 1, 2, 4).double(), torch.randn(5, 2).double()
    for samples in (1, 2):
        objective = VaeObjective(settings.model_copy(update={"samples": samples}), shape)
        drawn = noise.repeat(1, samples)

        def loss(objective: VaeObjective = objective, drawn: Tensor = drawn) -> Tensor:
            return torch.stack(list(objective.losses(network, images, None, drawn, NOW).values())).sum()

        loss().backward()
        weight = network.encoder.layers[0][0].weight  # type: ignore[index]
        with torch.no_grad():
            weight[1, 2] += 1e-4
            above = loss()
            weight[1, 2] -= 2e-4
            below = loss()
            weight[1, 2] += 1e-4
        assert weight.grad[1, 2].item() == pytest.approx(((above - below) / 2e-4).item(), rel=1e-2, abs=1e-3)
        network.zero_grad()


def test_pixels_are_drawn_anew_as_often_as_they_are_bright() -> None:
    settings = VaeSettings(kind="vae", latents=1, body="dense", widths=(3,), conditional=False, binary=True)
    seen = []

    class Seer(nn.Module):
        def forward(self, images: Tensor, _: None, noise: Tensor) -> tuple[Posterior, Tensor, Tensor]:
            seen.append(images)
            nothing = torch.zeros(len(images), 1)
            return Posterior(nothing, nothing), noise, torch.zeros(len(images), 1, *images.shape[1:])

    objective = VaeObjective(settings, PictureShape(1, 1, 3))
    grey = torch.tensor([0.0, 0.3, 1.0]).expand(20_000, 1, 1, 3)
    objective.losses(Seer(), grey, None, torch.randn(20_000, objective.noise_size), NOW)
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}
    assert torch.allclose(seen[0].mean(0).flatten(), torch.tensor([0.0, 0.3, 1.0]), atol=0.02)


def test_warm_up_of_the_divergence() -> None:
    settings = VaeSettings(
        kind="vae", latents=2, body="dense", widths=(3,), conditional=False, kl_warmup_steps=4
    )
    objective, network = (
        VaeObjective(settings, PictureShape(1, 2, 4)),
        Vae(settings, PictureShape(1, 2, 4), 0, Axes()),
    )
    given = (network, torch.rand(5, 1, 2, 4), None, torch.randn(5, 2))
    weights = [objective.losses(*given, Moment(step, 0, 10))["kl"].item() for step in range(6)]
    full = weights[-1]
    assert weights == pytest.approx([full * share for share in (0.25, 0.5, 0.75, 1, 1, 1)], rel=1e-5)
    assert objective.scores(*given)["kl"].mean().item() == pytest.approx(full, rel=1e-5)


@pytest.mark.parametrize(("kind", "expected"), [("minimax", -0.006693), ("non-saturating", -0.993307)])
def test_slope_where_the_critic_is_sure(kind: str, expected: float) -> None:
    """At a = -5 the minimax game hardly tells the generator anything."""
    a = torch.tensor([-5.0], requires_grad=True)
    generator_loss(a, kind).backward()
    assert a.grad is not None
    assert a.grad.item() == pytest.approx(expected, abs=1e-6)


def test_the_best_critic_of_two_discrete_distributions() -> None:
    """p = (.5, .3, .2), q = (.2, .2, .6): D* = p / (p + q), V = -log 4 + 2 JSD (Goodfellow et al. 2014)."""
    p, q = torch.tensor([5, 3, 2]), torch.tensor([2, 2, 6])
    logits = (p / q).log().requires_grad_()
    assert torch.allclose(logits.sigmoid(), torch.tensor([0.714286, 0.6, 0.25]), atol=1e-6)
    loss = critic_loss(logits.repeat_interleave(p), logits.repeat_interleave(q))
    assert loss.item() == pytest.approx(1.205163, abs=1e-6)
    assert loss.item() == pytest.approx(math.log(4) - 2 * 0.090566, abs=2e-6)
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope.abs().max() < 1e-6
    even = torch.zeros(10)
    assert critic_loss(even, even).item() == pytest.approx(1.386294, abs=1e-6)


def test_a_trained_critic_approaches_the_best() -> None:
    """N(0, 1) against N(1, 1): D*(x) = σ(½ - x)."""
    draws = torch.Generator().manual_seed(0)
    real = torch.randn(20_000, 1, generator=draws)
    made = torch.randn(20_000, 1, generator=draws) + 1
    critic = nn.Linear(1, 1)
    optimizer = torch.optim.LBFGS(critic.parameters(), max_iter=50)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = critic_loss(critic(real)[:, 0], critic(made)[:, 0])
        loss.backward()
        return loss

    optimizer.step(closure)
    assert critic(torch.zeros(1, 1)).sigmoid().item() == pytest.approx(0.622459, abs=0.01)
    assert critic.weight.item() == pytest.approx(-1, abs=0.03)
    assert closure().item() == pytest.approx(1.163451, abs=0.01)
