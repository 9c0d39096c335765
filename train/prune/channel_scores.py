"""How much each channel of an axis is worth: what has the least goes first.

A channel is all that lies at its place on the axis, in whichever layers write and read it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from tombola.errors import RecipeError, TrainingError
from tombola.train.networks.axis import Axis, Member
from tombola.train.prune.shrink import Kept, entries_of, free_axes, is_writer
from tombola.train.prune.weights.mask import Mask
from tombola.train.prune.weights.prunable import check_named, is_named

ScoreName = Literal["ticket", "l1", "taylor", "bn_scale", "random", "least_squares"]

# Name of an axis -> float32 [width], more is worth more.
ChannelScores = Mapping[str, Tensor]


def score_channels(
    name: ScoreName,
    network: nn.Module,
    *,
    mask: Mask | None = None,
    gradients: Callable[[], Mapping[str, Tensor]] | None = None,
    seed: int = 0,
) -> ChannelScores:
    """Scores of all channels but those of pinned axes.

    ticket: mean |w| of what the mask lets live, over all that writes or reads the channel (Chen et al. 2022).
    l1: mean |w| of what writes it (Li et al. 2017). taylor: (Σ w·∂L/∂w)² of what writes it (Molchanov et al.
    2019, equation 8), `gradients` by name of the parameter, frozen ones left out. bn_scale: mean |γ| of its
    norms (Liu et al. 2017); l1 on an axis without any. random: the control. For least_squares see
    `least_squares_scores`. TrainingError for "ticket" without a mask, or with another network's.
    """
    weights = {key: weight.detach() for key, weight in network.named_parameters()}
    if name == "ticket":
        if mask is None:
            raise TrainingError(
                "the score ticket needs the mask of an unstructured ticket; run tombola prune without "
                "--structured first and give one of its rounds, or choose another score"
            )
        weights = mask.applied(weights)
    slopes = gradients() if name == "taylor" and gradients else {}
    draws = torch.Generator().manual_seed(seed)
    scores = {}
    for axis, places in free_axes(network).items():
        written = [member for member in places if is_writer(network, member)]
        norms = [member for member in places if _is_norm_scale(network, member)]
        kernels = [
            member for member in places if member.tensor in weights and weights[member.tensor].ndim > 1
        ]
        if name == "random":
            scores[axis.name] = torch.rand(axis.width, generator=draws)
        elif name == "taylor":
            moved = {key: weights[key] * slope for key, slope in slopes.items()}
            learnt = [member for member in written if member.tensor in moved]
            scores[axis.name] = _means(moved, learnt, axis).square()
        else:
            chosen = {"ticket": kernels, "bn_scale": norms or written}.get(name, written)
            sizes = {key: weight.abs() for key, weight in weights.items()}
            scores[axis.name] = _means(sizes, chosen, axis)
    return scores


def choose_channels(
    scores: ChannelScores, keep: float, *, block: int = 8, leave_out: tuple[str, ...] = ()
) -> Kept:
    """The best `keep` (0 … 1) of each axis, in whole blocks, for onnxruntime computes blocks of 8 or 16 fast.

    At least a block is kept, and of an axis no wider than that, all. leave_out: axes, or patterns, that keep
    all. RecipeError for a share that cannot be or a pattern that matches nothing, naming near ones.
    """
    if not 0 < keep <= 1 or block < 1:
        raise RecipeError(f"keep = {keep} in blocks of {block} cannot be; give 0 < keep <= 1 and block >= 1")
    kept = {}
    for name in not_left_out(scores, leave_out):
        score, width = scores[name], len(scores[name])
        count = min(width, max(block, round(keep * width / block) * block))
        if count < width:
            kept[name] = sorted(score.sort(descending=True, stable=True).indices[:count].tolist())
    if not kept:
        raise RecipeError(
            f"keep = {keep} in blocks of {block} cuts nothing; give a smaller one, or leave out fewer axes"
        )
    return kept


def not_left_out(names: Iterable[str], leave_out: Sequence[str]) -> list[str]:
    """The axes that are not left out. An axis's own name means it alone, though others are called after it
    (stages.3 beside stages.3.0.hidden); a pattern, or a layer's name, all that it matches.

    RecipeError for a pattern that matches nothing, naming near ones.
    """
    names = list(names)
    left = set(leave_out) & set(names)
    for pattern in set(leave_out) - left:
        check_named(pattern, names, names, "axis")
        left.update(name for name in names if is_named(name, pattern))
    return [name for name in names if name not in left]


def _is_norm_scale(network: nn.Module, member: Member) -> bool:
    layer, _, name = member.tensor.rpartition(".")
    is_norm = isinstance(network.get_submodule(layer), nn.BatchNorm1d | nn.BatchNorm2d)
    return is_norm and name == "weight"


def _means(tensors: Mapping[str, Tensor], places: list[Member], axis: Axis) -> Tensor:
    """float32 [width]: the mean of each channel's numbers in all these places."""
    total, count = torch.zeros(axis.width), 0
    for member in places:
        tensor = tensors[member.tensor]
        lines = tensor.movedim(member.dim, 0)[entries_of(member, range(axis.width))]
        by_channel = lines.reshape(axis.width, -1).float()
        total, count = total + by_channel.sum(1), count + by_channel.shape[1]
    return total / max(count, 1)
