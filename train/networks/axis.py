"""Axes: sets of channels that live and die together, whichever layers write and read them.

Every layer with weights records in `layouts` what the dimensions of its tensors mean, so that the channels of
an axis can be found, counted and cut out wherever they lie.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from tombola.errors import TrainingError


@dataclass(frozen=True, eq=False)
class Axis:
    """`width` channels; an axis equals itself alone, whatever its numbers.

    A pinned axis keeps all of them: the colours of a picture, logits, box offsets. One that may vanish lies
    inside of a residual block whose shortcut is the identity; with no channel left, so is the block.
    """

    name: str
    width: int
    pinned: bool = False
    may_vanish: bool = False


class Part(NamedTuple):
    """A stretch of one dimension: for each channel of `axis` in turn, `block` consecutive entries."""

    axis: Axis
    block: int = 1


# A dimension from its first entry to its last. A concatenation has several axes, the two halves before Maxout
# are the same axis twice, and a flattened map has a block of all its cells.
Layout = tuple[Part, ...]
Channels = Axis | Layout
# Name of a tensor -> what each of its dimensions lies on; None for one without channels.
Layouts = Mapping[str, tuple[Channels | None, ...]]


class Member(NamedTuple):
    """Where an axis lies: `block` consecutive entries a channel, from `start` on, of dimension `dim` of the
    parameter or buffer `tensor`."""

    tensor: str
    dim: int
    start: int
    block: int


class Axes:
    """Makes the axes of one network: each of the width that its recipe asks for, or of the one that is stored
    under its name."""

    def __init__(self, widths: Mapping[str, int] | None = None) -> None:
        self._widths = dict(widths or {})
        self._made: set[str] = set()

    def new(self, name: str, width: int, *, may_vanish: bool = False) -> Axis:
        """An axis that no layer uses yet. Raises TrainingError for a stored width below 1, or 0 where the
        axis may vanish."""
        assert name not in self._made, name
        self._made.add(name)
        width = self._widths.get(name, width)
        if width < (0 if may_vanish else 1):
            raise TrainingError(f"widths: {name} = {width}, but an axis keeps at least one channel")
        return Axis(name, width, may_vanish=may_vanish)

    def check_all_used(self) -> None:
        """TrainingError if a width is stored for an axis that the network has not."""
        if strange := sorted(self._widths.keys() - self._made):
            there = ", ".join(sorted(self._made))
            raise TrainingError(
                f"widths: the network has no axis {strange[0]!r}; take the widths of this very recipe "
                f"(its axes: {there})"
            )


class Vanished(nn.Module):
    """What is left of a residual block that has lost all channels of an axis inside: the identity. It keeps
    the axes, that the network's widths say so."""

    def __init__(self, inside: tuple[Axis, ...]) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return x


def layout_of(channels: Channels) -> Layout:
    return (Part(channels),) if isinstance(channels, Axis) else channels


def entries(channels: Channels) -> int:
    """How long a dimension of this layout is."""
    return sum(part.axis.width * part.block for part in layout_of(channels))


def flattened(channels: Channels, cells: int) -> Layout:
    """The layout of maps [B, C, H, W] with H · W = cells after flatten(1)."""
    return tuple(Part(part.axis, part.block * cells) for part in layout_of(channels))


def members(network: nn.Module) -> dict[Axis, tuple[Member, ...]]:
    """Each axis of the network -> where it lies, in the order of `state_dict`; pinned axes too.

    A dimension that lies on no axis, such as the sides of a kernel, has no member, nor has an axis that has
    vanished with its layers, which a `Vanished` records. Raises TypeError that
    names a tensor whose layer says nothing about it, ValueError for one that is not as its layer says.
    """
    found: dict[Axis, list[Member]] = {}
    for path, module in network.named_modules():
        if isinstance(module, Vanished):
            found |= {axis: [] for axis in module.inside}
        for name, tensor in _own_tensors(module).items():
            full_name = f"{path}.{name}" if path else name
            layouts = getattr(module, "layouts", {})
            if name not in layouts:
                raise TypeError(f"{full_name} of {type(module).__name__} is on no axis; record its layouts")
            _check_shape(full_name, tensor, layouts[name])
            for dim, channels in enumerate(layouts[name]):
                start = 0
                for part in layout_of(channels) if channels is not None else ():
                    found.setdefault(part.axis, []).append(Member(full_name, dim, start, part.block))
                    start += part.axis.width * part.block
    return {axis: tuple(places) for axis, places in found.items()}


def widths(network: nn.Module) -> dict[str, int]:
    """Name -> width of each axis that is not pinned: what `Axes` builds the same network from."""
    return {axis.name: axis.width for axis in members(network) if not axis.pinned}


def _own_tensors(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))


def _check_shape(name: str, tensor: Tensor, layout: tuple[Channels | None, ...]) -> None:
    lengths = [side if one is None else entries(one) for one, side in zip(layout, tensor.shape, strict=True)]
    if lengths != list(tensor.shape):
        raise ValueError(f"{name} is {list(tensor.shape)}, its layer says {lengths}")
