"""Boltzmann machines so small that every state can be listed: conditionals, free energy, gradients, ln Z."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from tombola.train.networks.generate.rbm import Rbm, RbmSettings, centred
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.tasks.generate.annealing import log_partition
from tombola.train.tasks.generate.rbm_objective import RbmObjective
from tombola.train.tasks.moment import Moment

SHAPE = PictureShape(1, 1, 2)
STATES = torch.tensor(list(product((0.0, 1.0), repeat=2)))  # 00, 01, 10, 11
CHANCES = torch.tensor([0.090370, 0.201122, 0.219656, 0.488853])
LOG_Z = 3.691184


def machine(
    weight: list[list[float]], hidden_bias: list[float], visible_bias: list[float], **settings: object
) -> Rbm:
    """One of two visible units."""
    told = {"kind": "rbm", "hidden": len(hidden_bias), "centred": False} | settings
    network = Rbm(RbmSettings.model_validate(told), SHAPE).eval()
    with torch.no_grad():
        network.up.weight.copy_(torch.tensor(weight))
        network.up.bias.copy_(torch.tensor(hidden_bias))
        network.visible_bias.copy_(torch.tensor(visible_bias))
    return network


def binary(**settings: object) -> Rbm:
    return machine([[1, -1], [0.5, 2]], [0.5, -1], [0, 0.3], **settings)


def gradients(network: Rbm, loss: Tensor) -> list[Tensor]:
    """Of -loss, in the weight, the hidden and the visible bias."""
    parameters = (network.up.weight, network.up.bias, network.visible_bias)
    return [-one for one in torch.autograd.grad(loss, parameters)]


def test_conditionals_and_free_energies() -> None:
    network = binary()
    assert torch.allclose(
        network.hidden_odds(STATES[2:3]).sigmoid(), torch.tensor([0.817574, 0.377541]), atol=1e-6
    )
    drive = network.visible_drive(torch.tensor([[1.0, 0]]))
    assert torch.allclose(drive.sigmoid(), torch.tensor([0.731059, 0.331812]), atol=1e-6)
    assert torch.allclose(
        network(STATES), torch.tensor([-1.287339, -2.087339, -2.175490, -2.975490]), atol=1e-6
    )
    assert (-network(STATES)).logsumexp(0).item() == pytest.approx(LOG_Z, abs=1e-6)


def test_annealing_meets_the_sum_over_all_states() -> None:
    network = binary()
    network.base.copy_(torch.tensor([0.7, -0.4]))  # begins with another mean than that of the machine
    found = log_partition(network, runs=800, temperatures=100, seed=1)
    assert found.low < LOG_Z < found.high
    assert found.high - found.low < 0.05
    assert found == log_partition(network, runs=800, temperatures=100, seed=1)


def test_the_gradient_of_log_p() -> None:
    """Against the sum over all states: weights, hidden biases, visible biases."""
    network = binary()
    free_energies = network(STATES)
    found = gradients(network, free_energies[2] - (CHANCES * free_energies).sum())
    expected = [[[0.333699, -0.380223], [-0.105062, -0.546705]], [0.201515, -0.276398], [0.291491, -0.689974]]
    assert all(
        torch.allclose(one, torch.tensor(e), atol=2e-6) for one, e in zip(found, expected, strict=True)
    )


def test_a_step_of_contrastive_divergence() -> None:
    network = binary()
    free_energies = network(STATES)
    change = 0.1 * gradients(network, free_energies[2] - free_energies[3])[0]
    expected = torch.tensor([[0.019512, -0.062246], [-0.044003, -0.081757]])
    assert torch.allclose(change, expected, atol=1e-6)


def test_the_centred_gradient() -> None:
    """That of (h - λ)ᵀ W (v - μ) + bᵀ h + cᵀ v as a change of the plain machine (Melchior et al. 2016)."""
    network = binary(centred=True)
    activity, centre = torch.tensor([0.3, 0.6]), torch.tensor([0.2, 0.9])
    network.activity.copy_(activity)
    network.centre.copy_(centre)
    free_energies = network(STATES)
    found = gradients(network, free_energies[2] - free_energies[3])
    hidden = network.hidden_odds(STATES).sigmoid().detach()
    off = [torch.outer(hidden[i] - activity, STATES[i] - centre) for i in (2, 3)]
    weight = off[0] - off[1]
    hidden_bias = hidden[2] - hidden[3] - weight @ centre
    visible_bias = STATES[2] - STATES[3] - activity @ weight
    for one, expected in zip(found, (weight, hidden_bias, visible_bias), strict=True):
        assert torch.allclose(one, expected, atol=1e-6)
    plain = (network.up.weight, network.up.bias, network.visible_bias)
    assert all(map(torch.equal, centred(*plain, activity, centre), plain))


def test_more_steps_bring_contrastive_divergence_nearer_to_the_gradient() -> None:
    weights = [[2.0, -3.0], [3.0, 2.0]]

    def bias(steps: int) -> float:
        torch.manual_seed(0)
        network = machine(weights, [0.5, -3.0], [0.0, 0.3], steps=steps, persistent=False)
        objective = RbmObjective(RbmSettings(kind="rbm", steps=steps, persistent=False), SHAPE)
        images = STATES[2].expand(40_000, 2).reshape(-1, 1, 1, 2)
        losses = objective.losses(network, images, None, torch.zeros(40_000, 2), Moment(0, 0, 1))
        found = gradients(network, losses["contrast"])[0]
        free_energies = network(STATES)
        exact = gradients(network, free_energies[2] - ((-free_energies).softmax(0).detach() @ free_energies))[
            0
        ]
        return float((found - exact).norm())

    biases = [bias(steps) for steps in (1, 3, 20)]
    assert biases[0] > 1.5 * biases[1] > 2 * biases[2]
    assert biases[2] < 0.03


def test_persistent_chains_go_on_where_they_were() -> None:
    """Visible units copy the one hidden unit, and it them: chains stay where they are, whatever the batch."""
    network = machine([[40.0, 40.0]], [-40.0], [-20.0, -20.0], persistent=True, chains=6)
    network.chains.copy_(torch.tensor([0, 1, 1, 0, 1, 1], dtype=torch.uint8)[:, None])
    objective = RbmObjective(RbmSettings(kind="rbm", steps=3, chains=6), SHAPE)
    loss = objective.losses(network, torch.ones(4, 1, 1, 2), None, torch.zeros(4, 2), Moment(0, 0, 1))
    assert network.chains[:, 0].tolist() == [0, 1, 1, 0, 1, 1]
    contrast = network(torch.ones(1, 2)) - network(STATES[[0, 3, 3, 0, 3, 3]]).mean()
    assert loss["contrast"].item() == pytest.approx(contrast.item(), abs=1e-4)


def test_gaussian_visible_units() -> None:
    network = machine([[1, -0.5]], [0.2], [0.1, -0.3], visible="gaussian")
    on = torch.ones(1, 1)
    assert torch.allclose(network.visible_drive(on), torch.tensor([1.1, -0.8]))
    # The mean of v is that of c + Wᵀ h: the chance that h = 1 is in it.
    grid = torch.linspace(-9, 9, 601, dtype=torch.float64)
    states = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1).view(-1, 2)
    with torch.no_grad():
        weights = (-network.double()(states)).exp() * (grid[1] - grid[0]) ** 2
    assert math.log(weights.sum()) == pytest.approx(3.256515, abs=1e-6)
    on_chance = (weights * network.hidden_odds(states)[:, 0].sigmoid()).sum() / weights.sum()
    assert on_chance.item() == pytest.approx(0.745547, abs=1e-6)
    found = log_partition(network.float(), runs=1000, temperatures=60, seed=0)
    assert found.low < 3.256515 < found.high
    assert found.high - found.low < 0.1


def test_levels_of_their_own_deviation() -> None:
    """Levels x = σ v given h are N(b + σ W h, σ²); the energy of v has ½‖b / σ‖² less."""
    network = machine([[1, -0.5]], [0.2], [1 / 0.5, -1 / 2], visible="gaussian")
    network.deviation.copy_(torch.tensor([0.5, 2.0]))
    levels = network.visible_drive(torch.ones(1, 1)) * network.deviation
    assert torch.allclose(levels, torch.tensor([1.5, -2.0]))
    visible = network.visible(torch.tensor([1.0, -1.0]).view(1, 1, 1, 2))
    assert network.hidden_odds(visible).sigmoid().item() == pytest.approx(0.920561, abs=1e-6)
    found = log_partition(network, runs=3000, temperatures=100, seed=0)
    constant = 0.5 * (4 + 0.25)
    assert found.low < 4.958032 + constant < found.high


def test_chains_of_random_latents_end_as_the_machine_says() -> None:
    latents = torch.from_numpy(np.random.default_rng(0).standard_normal((20_000, 2), np.float32))
    network = binary()
    hidden = network.walk(latents, network.start(latents), torch.tensor(12))
    joint = -torch.stack([_energy(network, v, h) for v, h in product(STATES, STATES)])
    chances = joint.softmax(0).view(4, 4).sum(0)
    found = torch.bincount((hidden @ torch.tensor([2.0, 1.0])).long(), minlength=4) / len(hidden)
    assert torch.allclose(found, chances, atol=0.012)
    alone = network.walk(latents[7:8], network.start(latents[7:8]), torch.tensor(12))
    assert torch.equal(alone[0], hidden[7])


def _energy(network: Rbm, visible: Tensor, hidden: Tensor) -> Tensor:
    tied = hidden @ network.up.weight @ visible
    return -(tied + network.up.bias @ hidden + network.visible_bias @ visible).detach()


def test_gaussian_chains_have_the_mean_of_the_machine() -> None:
    network = machine([[1, -0.5]], [0.2], [0.1, -0.3], visible="gaussian")
    latents = torch.from_numpy(np.random.default_rng(1).standard_normal((20_000, 1), np.float32))
    hidden = network.walk(latents, network.start(latents), torch.tensor(9))
    assert hidden.mean().item() == pytest.approx(0.745547, abs=0.012)
