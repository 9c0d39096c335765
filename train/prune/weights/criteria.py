"""Which weights die next: the smallest of those that live (Han et al. 2015; Frankle & Carbin 2019)."""

import itertools
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from tombola.errors import RecipeError
from tombola.train.prune.weights.mask import Mask

Scope = Literal["global", "layer"]


def prune_smallest(
    weights: Mapping[str, Tensor],
    mask: Mask,
    share: float,
    *,
    scope: Scope = "global",
    rates: Mapping[str, float] | None = None,
) -> Mask:
    """Take `share` (0 … 1) of the living weights with the smallest |w| away; what is dead stays dead.

    scope: "global" ranks all weights together, "layer" takes the share of each tensor. rates: factor on
    the share for single tensors (Frankle & Carbin take half of it from the output layer); such a tensor is
    ranked apart. Every tensor keeps one weight at least. Ties die in the order of names and positions.
    """
    if not 0 < share < 1:
        raise RecipeError(f"the share to prune is {share}; give a number between 0 and 1")
    mask.check_fits(weights, "the network")
    apart = dict(rates or {})
    together = [name for name in mask if scope == "global" and name not in apart]
    groups = [([name], share * apart.get(name, 1.0)) for name in mask if name not in together]
    if together:
        groups.append((together, share))
    living = {name: mask[name].clone() for name in mask}
    for names, part in groups:
        _prune_group({name: weights[name].detach() for name in names}, living, part)
    return Mask(living)


def _prune_group(weights: Mapping[str, Tensor], living: dict[str, Tensor], share: float) -> None:
    """Take the share of the living away from one group, in place."""
    sizes = torch.cat(
        [torch.where(living[n], w.abs().float(), torch.inf).flatten() for n, w in weights.items()]
    )
    counts = [weight.numel() for weight in weights.values()]
    for size, name in zip(sizes.split(counts), weights, strict=True):
        # The largest of each tensor cannot die: a layer without weights carries nothing.
        finite = torch.where(living[name].flatten(), size, -1.0)
        size[finite.argmax()] = torch.inf
    alive = sum(int(living[name].sum()) for name in weights)
    doomed = min(round(share * alive), int(torch.isfinite(sizes).sum()))
    dead = torch.zeros(len(sizes), dtype=torch.bool)
    dead[sizes.sort(stable=True).indices[:doomed]] = True
    for part, (name, weight) in zip(dead.split(counts), weights.items(), strict=True):
        living[name] &= ~part.view_as(weight)


def round_shares(
    sparsity: float, rounds: int, schedule: Literal["geometric", "cubic"] = "geometric"
) -> list[float]:
    """The share of the living to take in each round so that `sparsity` (0 … 1) of all are dead at last.

    "geometric": the same share each round (Frankle & Carbin 2019). "cubic": sparsity after round i is
    s·(1 - (1 - i/n)³), much at first and little at last (Zhu & Gupta 2018, equation 1).
    """
    if not 0 < sparsity < 1 or rounds < 1:
        raise RecipeError(
            f"a sparsity of {sparsity} in {rounds} rounds cannot be; give 0 < sparsity < 1 and rounds >= 1"
        )
    if schedule == "geometric":
        return [1 - (1 - sparsity) ** (1 / rounds)] * rounds
    dead = [sparsity * (1 - (1 - i / rounds) ** 3) for i in range(rounds + 1)]
    return [1 - (1 - after) / (1 - before) for before, after in itertools.pairwise(dead)]
