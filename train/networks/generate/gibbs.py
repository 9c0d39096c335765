"""A Gibbs chain that comes out the same on every machine, its random numbers made of its latents.

A unit is on where its drive is above a random threshold. Were the drive rounded as each machine likes, one
unit in ten millions would tip, and the picture with it. So weights and biases lie on a grid on which sums of
float32 are exact in any order, and thresholds between its points.
"""

import torch
from torch import Tensor

from tombola.train.networks.layers.repeat import repeat

GRID = 1024  # weights are rounded to so many parts of 1
LEVEL_GRID = 32  # Gaussian units to so many
PLACES = 4096  # of a table of thresholds
# Random numbers by multiplication (Lehmer's; both factors: Park & Miller 1988), a row of them for each unit.
MODULUS = 2**31 - 1
FACTOR, BETWEEN_UNITS = 48271, 16807
SEEDS = 65536  # so many for latents between two whole numbers

_SHARES = (torch.arange(PLACES, dtype=torch.float64) + 0.5) / PLACES
# float32 [PLACES]: a drive is above a random one of these as often as its sigmoid says, and equal to none.
THRESHOLDS = (((torch.logit(_SHARES) * GRID).floor() + 0.5) / GRID).float()
# float32 [PLACES]: quantiles of the standard normal distribution.
NORMAL_NUMBERS = ((torch.special.ndtri(_SHARES) * GRID).round() / GRID).float()


def walk(
    weight: Tensor,
    hidden_bias: Tensor,
    visible_bias: Tensor,
    latents: Tensor,
    start: Tensor,
    steps: Tensor,
    *,
    binary: bool,
) -> Tensor:
    """Hidden units [n, hidden] of 0 and 1 after `steps`, int64 [], down and up again, from those of `start`.

    latents: float32 [n, d], the seed of all random numbers. weight: [hidden, visible]. binary: visible units
    are 0 or 1, else Gaussian of variance 1.
    """
    weight, hidden_bias, visible_bias = (on_grid(one) for one in (weight, hidden_bias, visible_bias))
    odds, normal = THRESHOLDS.to(latents.device), NORMAL_NUMBERS.to(latents.device)
    upwards = weight.T.clone()  # a loop may not be given one tensor twice
    hidden_size, visible_size = weight.shape

    def goes_on(step: Tensor, hidden: Tensor, state: Tensor) -> Tensor:  # noqa: ARG001
        return step < steps

    def extend(step: Tensor, hidden: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        state = state * FACTOR % MODULUS
        place = state * PLACES // MODULUS
        down, up = place.split([visible_size, hidden_size], dim=1)
        drive = hidden @ weight + visible_bias
        if binary:
            visible = (drive > odds[down]).to(drive.dtype)
        else:
            visible = ((drive + normal[down]) * LEVEL_GRID).round() / LEVEL_GRID
        hidden = (visible @ upwards + hidden_bias > odds[up]).to(drive.dtype)
        return step + 1, hidden, state

    first = (torch.zeros_like(steps), start, seeds(latents, visible_size + hidden_size))
    return repeat(goes_on, extend, first)[1]


def walk_by_turns(
    ties: Tensor, bias: Tensor, turns: Tensor, latents: Tensor, start: Tensor, steps: Tensor
) -> Tensor:
    """Units [n, d] of 0 and 1 after `steps` rounds, int64 [], from those of `start`, in each of which they
    are drawn in turns.

    ties: [d, d], symmetric. turns: [turns, d], 1 where it is a unit's; none of one turn are tied. latents:
    float32 [n, d], the seed of all random numbers.
    """
    ties, bias, thresholds = on_grid(ties), on_grid(bias), THRESHOLDS.to(latents.device)

    def goes_on(step: Tensor, units: Tensor, state: Tensor) -> Tensor:  # noqa: ARG001
        return step < steps

    def extend(step: Tensor, units: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        state = state * FACTOR % MODULUS
        threshold = thresholds[state * PLACES // MODULUS]
        for turn in range(turns.shape[0]):
            drawn = (units @ ties + bias > threshold).to(units.dtype)
            units = torch.where(turns[turn] > 0, drawn, units)
        return step + 1, units, state

    first = (torch.zeros_like(steps), start, seeds(latents, latents.shape[1]))
    return repeat(goes_on, extend, first)[1]


def on_grid(values: Tensor) -> Tensor:
    """The nearest multiples of 1 / GRID."""
    return (values * GRID).round() / GRID


def seeds(latents: Tensor, units: int) -> Tensor:
    """int64 [n, units] of 1..MODULUS - 1, from latents float32 [n, d]; units beyond d share latents."""
    own = (latents * SEEDS).floor().to(torch.int64) % (MODULUS - 1) + 1
    places = torch.arange(units, device=latents.device) % latents.shape[1]
    # By a factor of its own no unit's numbers are near another's, though their latents be the same.
    factors = torch.tensor([pow(BETWEEN_UNITS, unit + 1, MODULUS) for unit in range(units)])
    return own[:, places] * factors.to(latents.device) % MODULUS
