"""The Boltzmann machine (Ackley et al. 1985): units 0 and 1, any two of them tied. Without hidden units it is
a pairwise Markov random field."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axis
from tombola.train.networks.generate.rbm import draw
from tombola.train.networks.layers.dense_layer import Linear


class Boltzmann(nn.Module):
    """p(x) = exp(-E) / Z for E = -½ xᵀ T x - bᵀ x, T symmetric with a diagonal of 0: T[i, j] is what two
    units that are both on are worth.

    units: all of them, the visible ones first. near: bool [units, units], symmetric; where it is False two
    units are never tied. all: T lies in its weight, of which T is the symmetric part, and b is its bias.
    """

    near: Tensor

    def __init__(self, units: Axis, near: Tensor) -> None:
        super().__init__()
        self.all = Linear(units, units)
        nn.init.zeros_(self.all.weight)
        nn.init.zeros_(self.all.bias)
        self.register_buffer("near", near & ~torch.eye(units.width, dtype=torch.bool))
        self.layouts = {"near": (units, units)}

    @property
    def ties(self) -> Tensor:
        """T, [units, units]."""
        return (self.all.weight + self.all.weight.transpose(0, 1)) / 2 * self.near

    def energy(self, states: Tensor) -> Tensor:
        """[B] of states float [B, units]."""
        return -0.5 * ((states @ self.ties) * states).sum(1) - states @ self.all.bias

    def odds(self, states: Tensor) -> Tensor:
        """Log odds of each unit given all others, b + T x, [B, units]."""
        return F.linear(states, self.ties, self.all.bias)

    def pseudo_likelihood(self, states: Tensor) -> Tensor:
        """The sum over units of ln p(unit | all others), [B] (Besag 1975)."""
        return -F.binary_cross_entropy_with_logits(self.odds(states), states, reduction="none").sum(1)

    @torch.no_grad()
    def gibbs(self, states: Tensor, first: int, sweeps: int) -> Tensor:
        """Draw the units from `first` on anew, one after another, so many times, by PyTorch's generator;
        those before are kept."""
        states, ties = states.clone(), self.ties
        for _ in range(sweeps):
            for unit in range(first, states.shape[1]):
                states[:, unit] = draw(states @ ties[unit] + self.all.bias[unit])
        return states


def likelihood_step(machine: Boltzmann, clamped: Tensor, free: Tensor, visible: int, sweeps: int) -> Tensor:
    """A loss [] whose gradient is that of -ln p of the visible units, by Gibbs chains in both phases.

    clamped: states [B, units] of pictures, of which the hidden units are drawn; free: states [C, units] of
    persistent chains, of which all are. Both are moved on in place.
    """
    clamped.copy_(machine.gibbs(clamped, visible, sweeps))
    free.copy_(machine.gibbs(free, 0, sweeps))
    return machine.energy(clamped).mean() - machine.energy(free).mean()
