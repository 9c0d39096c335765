"""Recurrent cells, one step at a time: an input x and a state h give the next state.

`input` has U and a bias, `hidden` has W and another: the two add up, as in PyTorch's own cells, whose
weights these are.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axis, Channels, Part
from tombola.train.networks.layers.dense_layer import Linear

CellName = Literal["rnn", "lstm", "gru", "gru_reset_first"]
State = tuple[Tensor, ...]


class RnnCell(nn.Module):
    """h' = tanh(b + W h + U x) (Elman 1990); b is the sum of both biases."""

    states = 1

    def __init__(self, reads: Channels, units: Axis) -> None:
        super().__init__()
        self.input = Linear(reads, units)
        self.hidden = Linear(units, units)

    def forward(self, x: Tensor, state: State) -> State:
        """x float [..., reads], each of the state [..., units]."""
        return (torch.tanh(self.input(x) + self.hidden(state[0])),)


class LstmCell(nn.Module):
    """i, f, o = σ(b + W h + U x), g = tanh(…), c' = f ⊙ c + i ⊙ g, h' = o ⊙ tanh(c') (Hochreiter &
    Schmidhuber 1997, with the forget gate of Gers et al. 2000). Rows of the weights: i, f, g, o."""

    states = 2

    def __init__(self, reads: Channels, units: Axis) -> None:
        super().__init__()
        gates = (Part(units),) * 4
        self.input = Linear(reads, gates)
        self.hidden = Linear(units, gates)
        with torch.no_grad():  # forget little before anything is learned (Jozefowicz et al. 2015)
            self.input.bias[units.width : 2 * units.width] = 1.0

    def forward(self, x: Tensor, state: State) -> State:
        """x float [..., reads], h and c [..., units]."""
        hidden, cell = state
        i, f, g, o = (self.input(x) + self.hidden(hidden)).chunk(4, -1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell


class GruCell(nn.Module):
    """r, z = σ(b + W h + U x), n = tanh(U x + b + r ⊙ (W h + b')), h' = (1 - z) ⊙ n + z ⊙ h (Cho et al.
    2014, reset after the product as cuDNN and ONNX's linear_before_reset = 1). Rows: r, z, n."""

    states = 1

    def __init__(self, reads: Channels, units: Axis) -> None:
        super().__init__()
        gates = (Part(units),) * 3
        self.input = Linear(reads, gates)
        self.hidden = Linear(units, gates)

    def forward(self, x: Tensor, state: State) -> State:
        """x float [..., reads], h [..., units]."""
        (hidden,) = state
        r, z, n = self.input(x).chunk(3, -1)
        hidden_r, hidden_z, hidden_n = self.hidden(hidden).chunk(3, -1)
        update = torch.sigmoid(z + hidden_z)
        candidate = torch.tanh(n + torch.sigmoid(r + hidden_r) * hidden_n)
        return ((1 - update) * candidate + update * hidden,)


class GruResetFirstCell(nn.Module):
    """As GruCell, but n = tanh(U x + b + W (r ⊙ h) + b'): reset before the product, as Cho et al. 2014 first
    wrote it (ONNX's linear_before_reset = 0). `candidate` has W and b' of n."""

    states = 1

    def __init__(self, reads: Channels, units: Axis) -> None:
        super().__init__()
        self.input = Linear(reads, (Part(units),) * 3)
        self.hidden = Linear(units, (Part(units),) * 2)
        self.candidate = Linear(units, units)

    def forward(self, x: Tensor, state: State) -> State:
        """x float [..., reads], h [..., units]."""
        (hidden,) = state
        r, z, n = self.input(x).chunk(3, -1)
        hidden_r, hidden_z = self.hidden(hidden).chunk(2, -1)
        update = torch.sigmoid(z + hidden_z)
        candidate = torch.tanh(n + self.candidate(torch.sigmoid(r + hidden_r) * hidden))
        return ((1 - update) * candidate + update * hidden,)


Cell = RnnCell | LstmCell | GruCell | GruResetFirstCell
CELLS: dict[CellName, type[Cell]] = {
    "rnn": RnnCell,
    "lstm": LstmCell,
    "gru": GruCell,
    "gru_reset_first": GruResetFirstCell,
}
