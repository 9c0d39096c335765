"""Boltzmann machines without layers and random fields, small enough to list every state."""

from itertools import product

import pytest
import torch
from torch import Tensor

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axis
from tombola.train.networks.generate.boltzmann import Boltzmann, likelihood_step
from tombola.train.networks.generate.gaussian_mrf import GaussianMrf, GaussianMrfSettings, conditional_mean
from tombola.train.networks.generate.mrf import Mrf, MrfSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.tasks.generate.linear_gaussian_objective import fit_field
from tombola.train.tasks.generate.mrf_objective import MrfObjective
from tombola.train.tasks.moment import Moment


def states(units: int) -> Tensor:
    return torch.tensor(list(product((0.0, 1.0), repeat=units)))


def machine_of(units: int, *, tied: bool = True) -> Boltzmann:
    return Boltzmann(Axis("units", units), torch.full((units, units), tied))


def test_a_field_of_three_units() -> None:
    machine = machine_of(3)
    with torch.no_grad():
        machine.all.bias.copy_(torch.tensor([0.5, -0.2, 0.1]))
        machine.all.weight[0, 1], machine.all.weight[1, 2] = 2.0, -1.4  # T is the symmetric part of it
        machine.all.weight.diagonal().fill_(5.0)  # no unit is tied to itself
    weights = (-machine.energy(states(3))).exp()
    assert weights.sum().item() == pytest.approx(12.527120, abs=1e-5)
    marginals = (weights @ states(3)) / weights.sum()
    assert torch.allclose(marginals, torch.tensor([0.730726, 0.554885, 0.430296]), atol=1e-6)
    assert machine.odds(torch.tensor([[0.0, 1, 0]])).sigmoid()[0, 0].item() == pytest.approx(
        0.817574, abs=1e-6
    )
    torch.manual_seed(0)
    drawn = machine.gibbs(torch.zeros(8000, 3), 0, sweeps=8)
    assert torch.allclose(drawn.mean(0), marginals, atol=0.02)
    kept = machine.gibbs(torch.tensor([[0.0, 1, 0]]).expand(4000, 3), 1, sweeps=6)
    assert (kept[:, 0] == 0).all()


def test_the_gradient_of_the_pseudo_likelihood_is_none_at_the_truth() -> None:
    truth = machine_of(3)
    with torch.no_grad():
        truth.all.weight.copy_(torch.tensor([[0.0, 1, -2], [1, 0, 0.5], [-2, 0.5, 0]]))
        truth.all.bias.copy_(torch.tensor([0.3, -0.4, 0.6]))
    chances = (-truth.energy(states(3))).softmax(0).detach()
    (chances @ truth.pseudo_likelihood(states(3))).backward()
    assert all(p.grad is not None and p.grad.abs().max() < 1e-6 for p in truth.parameters())


@pytest.mark.slow
def test_hidden_units_learn_a_parity_that_pairs_cannot() -> None:
    """Of three units with an even number on, any two are independent: a field of pairs knows nothing."""
    even = states(3)[states(3).sum(1) % 2 == 0]

    def divergence(hidden: int) -> float:
        """KL from the parity to the trained machine's visible units, in nats."""
        torch.manual_seed(1)
        machine = machine_of(3 + hidden)
        torch.nn.init.normal_(machine.all.weight)
        optimizer = torch.optim.Adam(machine.parameters())
        clamped = torch.cat([even.repeat(25, 1), torch.zeros(100, hidden)], dim=1)
        free = torch.zeros(100, 3 + hidden)
        for step in range(400):
            optimizer.param_groups[0]["lr"] = 0.15 * (1 - step / 400)
            optimizer.zero_grad()
            likelihood_step(machine, clamped, free, visible=3, sweeps=1).backward()
            optimizer.step()
        with torch.no_grad():
            logs = (-machine.energy(states(3 + hidden))).log_softmax(0).view(8, -1).logsumexp(1)
        return float(-logs[states(3).sum(1) % 2 == 0].mean() - torch.tensor(4.0).log())

    assert divergence(0) > 0.68  # ln 2, the best that pairs can do, is 0.693
    assert divergence(3) < 0.5


def test_a_field_takes_noise_away() -> None:
    """Stripes, of which neighbours in a row are alike."""
    shape = PictureShape(1, 8, 8)
    torch.manual_seed(0)
    settings = MrfSettings(kind="mrf", reach=1, flipped=0.1)
    network, objective = Mrf(settings, shape), MrfObjective(settings, shape)
    images = (torch.rand(300, 1, 8, 1) < 0.5).float().expand(300, 1, 8, 8)
    noise = torch.randn(300, 128)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        objective.losses(network, images, None, noise, Moment(0, 0, 1))["pseudo_likelihood"].backward()
        optimizer.step()
    with torch.no_grad():
        assert objective.scores(network, images, None, noise)["wrong"].mean() < 0.06
        walked = network.decode(torch.randn(200, 64))
    alike = (walked[..., 1:] == walked[..., :-1]).float().mean()
    across = (walked[..., 1:, :] == walked[..., :-1, :]).float().mean()
    assert alike > 0.8
    assert abs(across - 0.5) < 0.1
    assert not network.machine.near[0, 2]
    with pytest.raises(RecipeError, match="one channel"):
        Mrf(settings, PictureShape(3, 8, 8))


def test_pixels_of_one_turn_are_not_tied() -> None:
    network = Mrf(MrfSettings(kind="mrf", reach=2), PictureShape(1, 7, 9))
    assert (network.turns.sum(0) == 1).all()
    for turn in network.turns.bool():
        assert not network.machine.near[turn][:, turn].any()


def test_a_gaussian_field_of_three_levels() -> None:
    precision = torch.tensor([[2.0, -1, 0], [-1, 2, -1], [0, -1, 2]])
    mean = torch.linalg.solve(precision, torch.tensor([1.0, 0, 1]))
    assert torch.allclose(mean, torch.ones(3))
    ends = torch.tensor([True, False, True])
    found = conditional_mean(precision, torch.zeros(3), torch.tensor([0.4, 9.0, 1.0]), ends)
    assert torch.allclose(found, torch.tensor([0.4, 0.7, 1.0]))  # each neighbour counts half
    covariance = torch.linalg.inv(precision)
    schur = covariance[0, 0] - covariance[0, 2] ** 2 / covariance[2, 2]
    given = conditional_mean(
        precision, mean, torch.tensor([0.0, 0.0, 2.0]), torch.tensor([False, False, True])
    )
    assert given[0].item() == pytest.approx(1 + float(covariance[0, 2] / covariance[2, 2]), abs=1e-6)
    assert schur < covariance[0, 0]


def test_a_field_that_reaches_everywhere_has_the_covariance_itself() -> None:
    shape = PictureShape(1, 3, 4)
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    covariance, mean = root @ root.T + torch.eye(12).double(), torch.rand(12, generator=generator).double()
    network = GaussianMrf(GaussianMrfSettings(kind="gaussian_mrf", reach=4), shape).double()
    with torch.no_grad():
        fit_field(network, mean, covariance)
        assert torch.allclose(network.precision, torch.linalg.inv(covariance), atol=1e-3)
        images = torch.rand(5, 1, 3, 4, generator=generator).double()
        truth = torch.distributions.MultivariateNormal(mean, covariance).log_prob(images.flatten(1))
        assert torch.allclose(network(images), truth, atol=1e-2)
        assert torch.allclose(network.decode(network.encode(images)), images)


def test_a_narrow_field_ties_neighbours_alone_and_loses_likelihood() -> None:
    shape = PictureShape(1, 6, 6)
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(4000, 36, generator=generator, dtype=torch.float64).cumsum(1) / 6
    covariance, mean = torch.cov(rows.T), rows.mean(0)
    found = []
    for reach in (1, 5):
        network = GaussianMrf(GaussianMrfSettings(kind="gaussian_mrf", reach=reach), shape).double()
        with torch.no_grad():
            fit_field(network, mean, covariance)
            found.append(float(network(rows.view(-1, 1, 6, 6)).mean()))
        if reach == 1:
            places = torch.arange(36)
            far = (places[:, None] // 6 - places[None] // 6).abs() > 2
            assert network.precision[far].abs().max() < 1e-8
    assert found[0] < found[1]
