"""Linear equations in a graph, which knows no solver."""

from collections.abc import Callable

import torch
from torch import Tensor

from tombola.train.networks.layers.repeat import repeat

LEAST = 1e-12  # of a denominator: what is left of an equation that is solved


def conjugate_gradients(
    multiply: Callable[[Tensor], Tensor], right: Tensor, diagonal: Tensor, steps: int
) -> Tensor:
    """x [n, d] of A x = right [n, d] for a symmetric positive definite A, by as many steps of conjugate
    gradients with the diagonal of A, [d] or [n, d], for a preconditioner (Saad 2003, algorithm 9.1).

    multiply: x -> A x. Exact after d steps but for rounding; fewer are enough where eigenvalues lie together.
    """

    def goes_on(step: Tensor, *carried: Tensor) -> Tensor:  # noqa: ARG001
        return step < steps

    def extend(
        step: Tensor, x: Tensor, rest: Tensor, direction: Tensor, size: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        along = multiply(direction)
        length = size / (direction * along).sum(1, keepdim=True).clamp(min=LEAST)
        x, rest = x + length * direction, rest - length * along
        eased = rest / diagonal
        now = (rest * eased).sum(1, keepdim=True)
        return step + 1, x, rest, eased + now / size.clamp(min=LEAST) * direction, now

    eased = right / diagonal
    first = (
        torch.zeros((), dtype=torch.int64, device=right.device),
        torch.zeros_like(right),
        right.clone(),
        eased,
        (right * eased).sum(1, keepdim=True),
    )
    return repeat(goes_on, extend, first)[1]
