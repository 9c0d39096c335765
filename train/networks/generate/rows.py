"""A picture read and written a row of pixels at a time, from the top, by gated recurrent units."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, Channels, flattened
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.layers.cells import GruCell
from tombola.train.networks.layers.dense_layer import Linear


class RowEncoder(nn.Module):
    """The last state of layers of units that read a row a step: float [B, c, h, w] -> [B, features]."""

    features: Channels

    def __init__(self, shape: PictureShape, widths: Sequence[int], axes: Axes) -> None:
        super().__init__()
        row = flattened(Axis("picture", shape.channels, pinned=True), shape.width)
        units = [axes.new(f"encoder.{index}", width) for index, width in enumerate(widths)]
        self.cells = stacked(row, units)
        self.features = units[-1]

    def forward(self, images: Tensor) -> Tensor:
        return unroll(self.cells, images.transpose(1, 2).flatten(2).unbind(1))[-1]


class RowDecoder(nn.Module):
    """Layers of units that see the latents at every step (as Cho et al. 2014 have it) and write a row: float
    [n, latents] -> logits [n, c, h, w]."""

    def __init__(self, latents: Axis, shape: PictureShape, widths: Sequence[int], axes: Axes) -> None:
        super().__init__()
        self.shape = shape
        units = [axes.new(f"decoder.{index}", width) for index, width in enumerate(widths)]
        self.cells = stacked(latents, units)
        self.last = Linear(units[-1], flattened(Axis("pixels", shape.channels, pinned=True), shape.width))

    def forward(self, latents: Tensor) -> Tensor:
        rows = self.last(torch.stack(unroll(self.cells, [latents] * self.shape.height), 1))
        return rows.unflatten(2, (self.shape.channels, self.shape.width)).transpose(1, 2)  # type: ignore[no-any-return]


def stacked(reads: Channels, units: Sequence[Axis]) -> nn.ModuleList:
    """A cell for each of the units, which reads those before it."""
    before: list[Channels] = [reads, *units]
    return nn.ModuleList(GruCell(one, writes) for one, writes in zip(before, units, strict=False))


def unroll(cells: Iterable[nn.Module], inputs: Sequence[Tensor]) -> list[Tensor]:
    """The states [B, units] of the last of stacked cells after each of the inputs [B, d]; they begin at 0."""
    states = list(inputs)
    for cell in cells:
        assert isinstance(cell, GruCell)
        hidden = inputs[0].new_zeros(inputs[0].shape[0], cell.hidden.in_features)
        for step, seen in enumerate(states):
            (hidden,) = cell(seen, (hidden,))
            states[step] = hidden
    return states
