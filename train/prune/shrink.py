"""Channels taken out of a network: the same layers with nothing but the channels that stay."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from tombola.errors import TrainingError
from tombola.train.networks.axis import Axis, Member, Vanished, members
from tombola.train.networks.layers.transposed import Transposed

# Name of an axis -> its channels that stay, in ascending order; one that is not named keeps all.
Kept = Mapping[str, Sequence[int]]


def shrink(network: nn.Module, kept: Kept, build: Callable[[Mapping[str, int]], nn.Module]) -> nn.Module:
    """The network that `build` makes of the widths left, with the weights of the channels left.

    It answers as `network` does with the other channels' weights at 0; a block that vanishes, as if it added
    nothing. Raises TrainingError for an axis that the network has not, that is pinned, of which a channel
    that is not there should stay, or nothing though it may not vanish.
    """
    narrow = build(kept_widths(network, kept))
    narrow.load_state_dict(sliced(network, kept, network.state_dict()))
    return narrow.train(network.training)


def kept_widths(network: nn.Module, kept: Kept) -> dict[str, int]:
    """Name -> width of each axis that is not pinned, once no more than `kept` is left. Raises as `shrink`."""
    axes = {axis.name: axis for axis in members(network) if not axis.pinned}
    for name, channels in kept.items():
        if name not in axes:
            raise TrainingError(f"the network has no axis {name!r} to cut; its axes: {', '.join(axes)}")
        width = axes[name].width
        if not (channels or axes[name].may_vanish) or list(channels) != sorted(
            set(channels) & set(range(width))
        ):
            raise TrainingError(
                f"axis {name} has the channels 0 to {width - 1}, in order; {list(channels)[:8]} cannot stay"
            )
    return {name: len(kept.get(name, range(axis.width))) for name, axis in axes.items()}


def sliced(network: nn.Module, kept: Kept, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors`, by name of the network's shapes (weights, a mask), with nothing but the kept channels, and
    without those of blocks that vanish."""
    left: dict[tuple[str, int], list[Tensor]] = {}
    for axis, places in members(network).items():
        channels = kept.get(axis.name, range(axis.width)) if not axis.pinned else range(axis.width)
        for member in places:
            left.setdefault((member.tensor, member.dim), []).append(entries_of(member, channels))
    gone = tuple(
        f"{path}."
        for path, _, inside in vanishing(network)
        if not all(kept.get(axis.name, (0,)) for axis in inside)
    )
    small = {name: tensor.clone() for name, tensor in tensors.items() if not name.startswith(gone)}
    for (name, dim), parts in left.items():
        if name in small:
            small[name] = small[name].index_select(dim, torch.cat(parts).sort().values)
    return small


def vanishing(network: nn.Module) -> list[tuple[str, nn.Module, tuple[Axis, ...]]]:
    """The residual blocks that may vanish, in order: path, block, and the axes of which none may be left."""
    found = [
        (path, module, tuple(axis for axis in getattr(module, "inside", ()) if axis.may_vanish))
        for path, module in network.named_modules()
        if not isinstance(module, Vanished)
    ]
    return [(path, block, inside) for path, block, inside in found if inside]


def in_blocks(channels: Sequence[int], width: int, block: int = 8) -> list[int]:
    """These of an axis's channels, and as many of the others as fill the last block: onnxruntime computes by
    blocks, and with a broken one leaves its fast order of maps."""
    others = sorted(set(range(width)) - set(channels))
    return sorted([*channels, *others[: -len(channels) % block]])


def entries_of(member: Member, channels: Sequence[int]) -> Tensor:
    """int64 [n]: where these channels lie along the member's dimension."""
    first = member.start + member.block * torch.tensor(channels, dtype=torch.int64)
    return (first[:, None] + torch.arange(member.block)).flatten()


def is_reader(member: Member) -> bool:
    """Whether a layer makes other channels of these. Depthwise layers and norms change each channel alone."""
    return member.dim == 1


def is_writer(network: nn.Module, member: Member) -> bool:
    """Whether a layer makes these channels of others: dimension 0 of a kernel or matrix, save depthwise."""
    if member.dim != 0 or not member.tensor.endswith("weight"):
        return False
    layer = network.get_submodule(member.tensor.rpartition(".")[0])
    whole = isinstance(layer, nn.Linear | Transposed)
    return whole or (isinstance(layer, nn.Conv2d) and layer.groups == 1)


def free_axes(network: nn.Module) -> dict[Axis, tuple[Member, ...]]:
    """The axes that have channels to lose, each with where it lies."""
    return {axis: places for axis, places in members(network).items() if places and not axis.pinned}
