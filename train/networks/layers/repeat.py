"""A loop whose number of turns is known only when it runs."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch._higher_order_ops import while_loop


def repeat(
    goes_on: Callable[..., Tensor], extend: Callable[..., tuple[Tensor, ...]], carried: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Do `extend` while `goes_on`; a Loop for the exporter, which does not follow Python's own."""
    # Inside of a branch the exporter compiles.
    if torch.compiler.is_exporting() or torch.compiler.is_compiling():
        looped: tuple[Tensor, ...] = while_loop(goes_on, extend, carried)
        return looped
    while goes_on(*carried):
        carried = extend(*carried)
    return carried
