"""Loops whose number of turns is known only when they run."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch._higher_order_ops import while_loop

State = tuple[Tensor, ...]
# What is said [B, width], and the state after it. It has a name because the exporter, which follows functions
# inside of functions, cannot read an annotation that subscripts an alias.
Stepped = tuple[Tensor, State]
Step = Callable[[Tensor, State], Stepped]  # of x [B, …] and the state


def repeat(
    goes_on: Callable[..., Tensor], extend: Callable[..., tuple[Tensor, ...]], carried: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Do `extend` while `goes_on`; a Loop for the exporter, which does not follow Python's own."""
    if _is_traced():
        looped: tuple[Tensor, ...] = while_loop(goes_on, extend, carried)
        return looped
    while goes_on(*carried):
        carried = extend(*carried)
    return carried


def each_step(step: Step, x: Tensor, state: State, width: int, *, truncate: int = 0) -> Tensor:
    """Do `step` for each x[:, t] of x float [B, T, …] in turn; returns what it says, float [B, T, width].

    truncate: no gradient flows back over the borders between so many steps: truncated backpropagation
    through time with k1 = k2 (Williams & Peng 1990); 0 is none.
    """
    if _is_traced():
        return _each_step_looped(step, x, state, width)
    said = []
    for number, one in enumerate(x.unbind(1)):
        if truncate and number % truncate == 0:
            state = tuple(part.detach() for part in state)
        now, state = step(one, state)
        said.append(now)
    return torch.stack(said, 1)


def _each_step_looped(step: Step, x: Tensor, state: State, width: int) -> Tensor:
    places = torch.arange(x.shape[1], device=x.device)

    def goes_on(turn: Tensor, *_: Tensor) -> Tensor:
        return turn < x.shape[1]

    def extend(turn: Tensor, said: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
        now, after = step(x.index_select(1, turn[None])[:, 0], before)
        here = (places == turn)[None, :, None]
        return turn + 1, torch.where(here, now[:, None], said), *after

    first = torch.zeros((), dtype=torch.int64, device=x.device)
    _, said, *_ = repeat(goes_on, extend, (first, x.new_zeros(x.shape[0], x.shape[1], width), *state))
    return said


def _is_traced() -> bool:
    # Inside of a branch the exporter compiles.
    return torch.compiler.is_exporting() or torch.compiler.is_compiling()
