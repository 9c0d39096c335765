"""An encoder of words: cells that read them in both directions (Schuster & Paliwal 1997)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axes, Axis, Part
from tombola.train.networks.layers.cells import CELLS, Cell, CellName
from tombola.train.networks.layers.dense_layer import Linear


class WordsEncoder(nn.Module):
    """tokens int64 [P, T] -> what a decoder looks at, float [P, T, features]: at each word the states of a
    cell that has read up to it and of one that has read back to it, brought to `features`."""

    def __init__(self, name: CellName, n_words: int, units: int, features: Axis, axes: Axes) -> None:
        super().__init__()
        embedding = axes.new("encoder.embedding", units)
        forth, back = axes.new("encoder.forth", units), axes.new("encoder.back", units)
        self.words = Linear(embedding, Axis("words", n_words, pinned=True), bias=False)
        nn.init.normal_(self.words.weight)
        self.forth, self.back = CELLS[name](embedding, forth), CELLS[name](embedding, back)
        self.last = Linear((Part(forth), Part(back)), features)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.last(self.states(tokens))  # type: ignore[no-any-return]

    def states(self, tokens: Tensor) -> Tensor:
        """float [P, T, 2 · units]: forth, then back."""
        words = F.embedding(tokens, self.words.weight).unbind(1)
        forth, back = _states(self.forth, words), _states(self.back, words[::-1])[::-1]
        return torch.cat([torch.stack(forth, 1), torch.stack(back, 1)], -1)


def _states(cell: Cell, words: tuple[Tensor, ...]) -> list[Tensor]:
    """The state h after each word, from zeros on."""
    zeros = words[0].new_zeros(len(words[0]), cell.hidden.in_features)
    state = (zeros,) * cell.states
    found = []
    for word in words:
        state = cell(word, state)
        found.append(state[0])
    return found
