"""What a network costs for one picture, as a function of how wide its axes are."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axis, Channels, Part, layout_of
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.transposed import KERNEL, PADDING, STRIDE, Transposed
from tombola.train.prune.dead import hook_readers
from tombola.train.prune.shrink import vanishing

# Name of an axis -> how many channels it has.
Widths = Mapping[str, int]


@dataclass(frozen=True)
class Layer:
    """A convolution, transposed or not, or a matrix, and what it reads for one answer.

    reads, writes: the parts of its channels; a depthwise layer reads what it writes. inside: the axes of the
    residual block that it is a layer of, if that may vanish. kernel_hw, stride_hw, and pads as top, left,
    bottom, right; 1 and 0 of a matrix. inputs: (rows, height, width) of each call; 1 × 1 of a matrix.
    """

    name: str
    reads: tuple[Part, ...]
    writes: tuple[Part, ...]
    inside: tuple[Axis, ...]
    depthwise: bool
    kernel_hw: tuple[int, int]
    stride_hw: tuple[int, int]
    pads: tuple[int, int, int, int]
    inputs: tuple[tuple[int, int, int], ...]
    transposed: bool = False

    def channels(self, widths: Widths) -> tuple[int, int]:
        """How many it reads and writes."""
        read, written = (
            sum(part.block * widths.get(part.axis.name, part.axis.width) for part in parts)
            for parts in (self.reads, self.writes)
        )
        return read, written

    def is_there(self, widths: Widths) -> bool:
        """Whether it has channels to read and to write, and its block has not vanished."""
        return all(self.channels(widths)) and all(widths.get(one.name, one.width) for one in self.inside)

    def weights(self, widths: Widths) -> int:
        """How many numbers it stores, a bias for each channel among them."""
        read, written = self.channels(widths)
        height, width = self.kernel_hw
        return written * (height * width * (1 if self.depthwise else read) + 1)

    def macs(self, widths: Widths) -> int:
        """Multiply-accumulates; a transposed kernel is applied to each cell that is read."""
        top, left, bottom, right = self.pads
        (kernel_h, kernel_w), (stride_h, stride_w) = self.kernel_hw, self.stride_hw
        cells = sum(
            rows * height * width
            if self.transposed
            else rows
            * ((height + top + bottom - kernel_h) // stride_h + 1)
            * ((width + left + right - kernel_w) // stride_w + 1)
            for rows, height, width in self.inputs
        )
        read, written = self.channels(widths)
        return cells * kernel_h * kernel_w * (1 if self.depthwise else read) * written


@dataclass(frozen=True)
class Cost:
    """unit: what it is counted in. fixed: what it is at any widths. of: what a layer that is there adds."""

    unit: str
    fixed: float
    layers: tuple[Layer, ...]
    of: Callable[[Layer, Widths], float]

    def total(self, widths: Widths) -> float:
        """Of the network."""
        return self.fixed + sum(self._of(layer, widths) for layer in self.layers)

    def saved(self, axis: str, fewer: int, widths: Widths) -> float:
        """By `fewer` channels of one axis."""
        after = {**widths, axis: fewer}
        return sum(self._of(one, widths) - self._of(one, after) for one in self._at[axis])

    def counts(self, axis: str) -> bool:
        """Whether a layer that costs something reads or writes the axis."""
        return axis in self._at

    def _of(self, layer: Layer, widths: Widths) -> float:
        return self.of(layer, widths) if layer.is_there(widths) else 0.0

    def in_percent(self) -> "Cost":
        """The same in shares of what the network costs with all its channels."""
        whole = self.total({})
        unit = f"% of {whole:.4g} {self.unit}"
        return Cost(unit, 100 * self.fixed / whole, self.layers, lambda *at: 100 * self.of(*at) / whole)

    @cached_property
    def _at(self) -> Mapping[str, list[Layer]]:
        """The layers that each axis runs through."""
        found: defaultdict[str, list[Layer]] = defaultdict(list)
        for layer in self.layers:
            parts = {part.axis.name for part in (*layer.reads, *layer.writes)}
            for name in parts | {axis.name for axis in layer.inside}:
                found[name].append(layer)
        return found


def macs_cost(layers: tuple[Layer, ...]) -> Cost:
    """In millions of multiply-accumulates; what is not a layer counts for nothing."""
    return Cost("M MACs", 0.0, layers, lambda layer, widths: layer.macs(widths) / 1e6)


def layers_of(network: nn.Module, ask: Callable[[], object]) -> tuple[Layer, ...]:
    """The layers of a network in eval mode that run when `ask` has it answer."""
    inputs: dict[str, list[tuple[int, int, int]]] = {}

    def look(layer: str, given: Tensor) -> None:
        count, height, width = (
            (given.shape[0], *given.shape[2:]) if given.ndim == 4 else (given.shape[:-1].numel(), 1, 1)
        )
        inputs.setdefault(layer, []).append((count, int(height), int(width)))

    with torch.no_grad(), hook_readers(network, look):
        ask()
    blocks = {path: inside for path, _, inside in vanishing(network)}
    return tuple(
        _layer(
            network,
            name,
            next((inside for path, inside in blocks.items() if name.startswith(f"{path}.")), ()),
            tuple(seen),
        )
        for name, seen in inputs.items()
    )


def _layer(
    network: nn.Module, name: str, inside: tuple[Axis, ...], inputs: tuple[tuple[int, int, int], ...]
) -> Layer:
    module, around = network.get_submodule(name), network.get_submodule(name.rpartition(".")[0])
    layouts: Mapping[str, tuple[Channels | None, ...]] = module.layouts  # type: ignore[assignment]
    written, read = layouts["weight"][:2]
    assert written is not None
    kernel_hw, stride_hw, pads = (1, 1), (1, 1), (0, 0, 0, 0)
    if isinstance(module, nn.Conv2d):
        (kernel_h, kernel_w), (stride_h, stride_w) = module.kernel_size, module.stride
        kernel_hw, stride_hw = (kernel_h, kernel_w), (stride_h, stride_w)
        assert not isinstance(module.padding, str)
        top, left = module.padding
        pads = (top, left, top, left)
        if isinstance(around, ConvBatchNorm) and around.uneven:
            left, right, top, bottom = around.uneven
            pads = (top, left, bottom, right)
    if isinstance(module, Transposed):
        kernel_hw, stride_hw, pads = (KERNEL, KERNEL), (STRIDE, STRIDE), (PADDING,) * 4
    return Layer(
        name,
        reads=layout_of(written if read is None else read),
        writes=layout_of(written),
        inside=inside,
        depthwise=read is None,
        kernel_hw=kernel_hw,
        stride_hw=stride_hw,
        pads=pads,
        inputs=inputs,
        transposed=isinstance(module, Transposed),
    )
