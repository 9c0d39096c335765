"""Channels cut until a network costs no more than it may: what costs most and is missed least goes first
(as Yang et al. 2018 and Shen et al. 2022, by blocks)."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from tombola.errors import RecipeError
from tombola.train.prune.channel_scores import ChannelScores, ScoreName, not_left_out
from tombola.train.prune.cost import Cost
from tombola.train.prune.shrink import Kept

# Scores that are comparable from axis to axis as they are; of the others the share of the axis counts.
_COMPARABLE = ("taylor", "least_squares")


def loss_curves(name: ScoreName, scores: ChannelScores) -> dict[str, Tensor]:
    """Axis -> float [width + 1]: what is lost once 0, 1, 2, … of its channels are gone, the least first."""
    curves = {}
    for axis, score in scores.items():
        ordered = score.double().sort().values
        lost = ordered if name == "least_squares" else ordered.cumsum(0)  # there it is the sum already
        if name not in _COMPARABLE:
            lost = lost / lost[-1].clamp(min=1e-30)
        curves[axis] = torch.cat([torch.zeros(1, dtype=lost.dtype), lost])
    return curves


def ever_narrower(
    curves: Mapping[str, Tensor],
    cost: Cost,
    *,
    block: int,
    leave_out: Sequence[str] = (),
    vanishing: Collection[str] = (),
) -> Iterator[dict[str, int]]:
    """Widths from all channels on: each time that axis loses its next block which loses least for what it
    saves, down to one block of each; the vanishing ones down to nothing. An axis that costs nothing keeps
    all, such as an encoder's where pictures are made alone."""
    free = [name for name in not_left_out(curves, leave_out) if cost.counts(name)]
    widths = {name: len(curve) - 1 for name, curve in curves.items()}
    while True:
        yield dict(widths)
        prices = {}
        for name in free:
            fewer = (widths[name] - 1) // block * block
            if fewer > 0 or (fewer == 0 and name in vanishing):
                saved = cost.saved(name, fewer, widths)
                curve, full = curves[name], len(curves[name]) - 1
                lost = float(curve[full - fewer] - curve[full - widths[name]])
                prices[name, fewer] = lost / saved if saved > 0 else float("inf")
        if not prices:
            return
        name, fewer = min(prices, key=lambda one: prices[one])
        widths[name] = fewer


def cut_to(
    path: Iterator[dict[str, int]],
    cost: Cost,
    target: float | None,
    drop: Callable[[Mapping[str, int]], float],
    max_drop: float | None,
) -> dict[str, int]:
    """The first widths of the path that cost no more than the target, the last if none do.

    drop: what widths cost in the score; it is asked of a few, for it is taken to grow along the path, and no
    widths are taken that cost more than max_drop. RecipeError if the path is one of no cuts.
    """
    steps: list[dict[str, int]] = []
    for widths in path:
        steps.append(widths)
        if target is not None and cost.total(widths) <= target:
            break
    if len(steps) == 1:
        raise RecipeError(
            f"the network costs {cost.total(steps[0]):.3g} {cost.unit} already, or has no block to lose; "
            "give a lower target, a smaller block, or leave out fewer axes"
        )
    if max_drop is None or drop(steps[-1]) <= max_drop:
        return steps[-1]
    low, high = 0, len(steps) - 1  # the first loses nothing, the last too much
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if drop(steps[middle]) <= max_drop else (low, middle)
    if low == 0:
        raise RecipeError(f"one block alone costs more than {max_drop:g}; allow more, or leave out that axis")
    return steps[low]


def best_channels(scores: ChannelScores, widths: Mapping[str, int]) -> Kept:
    """As many of each axis, those of the best score."""
    return {
        name: sorted(score.sort(descending=True, stable=True).indices[: widths[name]].tolist())
        for name, score in scores.items()
        if widths[name] < len(score)
    }
