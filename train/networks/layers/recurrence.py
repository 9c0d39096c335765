"""Layers of recurrent cells over sequences: stacked, in one direction or both, residual or not."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, Channels, Part
from tombola.train.networks.layers.cells import CELLS, Cell, CellName, State
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.repeat import Stepped, each_step


class Recurrence(nn.Module):
    """Sequences float [B, T, reads] -> the states h of the highest layer, float [B, T, writes]: after all up
    to each place, and where `back` says so (Schuster & Paliwal 1997) after all from the end down to it.

    residual: each layer above the first hands on what it reads beside what it says. truncate: see
    `each_step`.
    """

    def __init__(
        self,
        cell: CellName,
        reads: Channels,
        units: int,
        axes: Axes,
        *,
        layers: int = 1,
        back: bool = False,
        residual: bool = False,
        truncate: int = 0,
    ) -> None:
        super().__init__()
        ways = [axes.new(f"recurrence.{way}", units) for way in ("forth", "back")[: 1 + back]]
        self.writes: tuple[Part, ...] = tuple(map(Part, ways))
        self.residual, self.truncate = residual, truncate
        self.layers = nn.ModuleList(
            nn.ModuleList(CELLS[cell](self.writes if number else reads, way) for way in ways)
            for number in range(layers)
        )

    def forward(self, x: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """lengths: of each sequence, which is padded behind its end; all of them T without."""
        for number, ways in enumerate(self.layers):
            assert isinstance(ways, nn.ModuleList)
            forth, *back = ways
            said = self._run(forth, x)
            for cell in back:
                said = torch.cat([said, reverse(self._run(cell, reverse(x, lengths)), lengths)], -1)
            x = x + said if self.residual and number else said
        return x

    def _run(self, cell: nn.Module, x: Tensor) -> Tensor:
        assert isinstance(cell, Cell)
        units = cell.hidden.in_features

        def step(one: Tensor, state: State) -> Stepped:
            after = cell(one, state)
            return after[0], after

        zeros = tuple(x.new_zeros(x.shape[0], units) for _ in range(cell.states))
        return each_step(step, x, zeros, units, truncate=self.truncate)


class OutputRecurrence(nn.Module):
    """A plain recurrent layer that is fed its last answer and not its last state: h = tanh(b + W o + U x),
    and o the probabilities that `head` makes of h, 0 at first (Goodfellow et al. 2016, section 10.2).

    Where the right answers are known they stand in for o, and all places are computed at once (teacher
    forcing): no gradient has to flow back through time.
    """

    def __init__(self, reads: Channels, answers: Axis, units: int, axes: Axes) -> None:
        super().__init__()
        writes = axes.new("recurrence.forth", units)
        self.writes: tuple[Part, ...] = (Part(writes),)
        self.input = Linear(reads, writes)
        self.output = Linear(answers, writes)

    def forward(self, x: Tensor, head: nn.Linear, answers: Tensor | None = None) -> Tensor:
        """x float [B, T, reads], answers float [B, T, classes], each row one-hot or 0 -> logits
        [B, T, classes]."""
        if answers is not None:
            before = torch.cat([torch.zeros_like(answers[:, :1]), answers[:, :-1]], 1)
            return head(torch.tanh(self.input(x) + self.output(before)))  # type: ignore[no-any-return]

        def step(one: Tensor, state: State) -> Stepped:
            logits = head(torch.tanh(self.input(one) + self.output(state[0])))
            return logits, (logits.softmax(-1),)

        n_classes = head.out_features
        return each_step(step, x, (x.new_zeros(x.shape[0], n_classes),), n_classes)


def reverse(x: Tensor, lengths: Sequence[int] | None) -> Tensor:
    """Each sequence of x [B, T, …] from its end to its start; what lies behind its end stays there."""
    if lengths is None:
        return x.flip(1)
    places = torch.arange(x.shape[1], device=x.device)
    turned = torch.tensor(lengths, device=x.device)[:, None] - 1 - places
    index = torch.where(turned < 0, places, turned)
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
