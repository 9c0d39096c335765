"""A decoder that says one word after the other and looks at the picture before each (Xu et al. 2015)."""

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axes, Axis, Part
from tombola.train.networks.caption.attention import Attention, AttentionName
from tombola.train.networks.classify.mlp import DropoutShare
from tombola.train.networks.layers.cells import CELLS, CellName, State
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.recipe.recipe import Section


class RecurrentSettings(Section):
    """A recurrent decoder: `layers` layers of a `cell` of `units` units each, words as `embedding` numbers,
    `attention` over the cells of the picture's map through `attention_units` (of additive and reduced
    attention alone). residual: each layer above the first hands on what it reads beside what it says. dropout
    acts on words and on what they are guessed from, one mask a caption."""

    kind: Literal["recurrent"] = "recurrent"
    cell: CellName = "lstm"
    layers: int = Field(default=1, ge=1, le=16)
    residual: bool = False
    units: int = Field(default=384, ge=1, le=4096)
    embedding: int = Field(default=256, ge=1, le=4096)
    attention: AttentionName = "additive"
    attention_units: int = Field(default=256, ge=1, le=4096)
    dropout: DropoutShare = 0.5


class Memory(NamedTuple):
    """What a decoder knows of P pictures: their cells float [P, cells, C], and its keys [P, cells, A]."""

    cells: Tensor
    keys: Tensor


class RecurrentDecoder(nn.Module):
    """Cells of a picture and the words before -> logits of the next word.

    Everywhere P is pictures and N captions of each, which share its cells. The embedding of words is the last
    layer too (Press & Wolf 2017).
    """

    def __init__(self, settings: RecurrentSettings, features: Axis, n_words: int, axes: Axes) -> None:
        super().__init__()
        words = Axis("words", n_words, pinned=True)
        units = axes.new("decoder.units", settings.units)
        embedding = axes.new("decoder.embedding", settings.embedding)
        self.dropout = settings.dropout
        self.words = Linear(embedding, words)
        nn.init.normal_(self.words.weight, std=embedding.width**-0.5)
        nn.init.zeros_(self.words.bias)
        self.attention = Attention(settings.attention, units, features, settings.attention_units, axes)
        self.gate = Linear(units, features)
        self.cell = CELLS[settings.cell]((Part(embedding), Part(features)), units)
        self.above = nn.ModuleList(CELLS[settings.cell](units, units) for _ in range(settings.layers - 1))
        self.residual = settings.residual
        self.first = Linear(features, (Part(units),) * self.cell.states * settings.layers)
        self.last = Linear((Part(units), Part(features)), embedding)

    def remember(self, cells: Tensor) -> Memory:
        """float [P, cells, C] -> what is the same for every word."""
        return Memory(cells, self.attention.keys(cells))

    def start(self, memory: Memory, captions: int, longest: int) -> State:  # noqa: ARG002  # of any length
        """The state before the first word, each [P, captions, units]: the lowest layer's first."""
        first = torch.tanh(self.first(memory.cells.mean(1)))
        parts = first.chunk(self.cell.states * (1 + len(self.above)), -1)
        return tuple(part[:, None].expand(-1, captions, -1).clone() for part in parts)

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """tokens int64 [P, N], the words before -> logits [P, N, words], state, weights [P, N, cells]."""
        said, state, weights = self._step(F.embedding(tokens, self.words.weight), state, memory)
        return self.words(self.last(said)), state, weights

    def forward(self, tokens: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Teacher forcing: tokens int64 [P, N, T], each the word before -> logits of the next ones
        [P, N, T, words], weights [P, N, T, cells]."""
        words = F.embedding(tokens, self.words.weight)
        kept = self._mask(words[:, :, :1])
        state = self.start(memory, *tokens.shape[1:])
        said, weights = [], []
        for word in (words * kept).unbind(2):
            out, state, weight = self._step(word, state, memory)
            said.append(out)
            weights.append(weight)
        all_said = torch.stack(said, 2)
        guessed_from = self.last(all_said * self._mask(all_said[:, :, :1]))
        return self.words(guessed_from), torch.stack(weights, 2)

    def _step(self, word: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        states = self.cell.states
        asking = state[-states]  # the highest layer's h
        weights = self.attention(asking, memory.keys)
        context = torch.sigmoid(self.gate(asking)) * (weights @ memory.cells)
        after = self.cell(torch.cat([word, context], -1), state[:states])
        said = after[0]
        for number, cell in enumerate(self.above, 1):
            layer = cell(said, state[number * states : (number + 1) * states])
            said = said + layer[0] if self.residual else layer[0]
            after += layer
        return torch.cat([said, context], -1), after, weights

    def _mask(self, like: Tensor) -> Tensor:
        """What dropout multiplies with: one mask for all words of a caption."""
        return F.dropout(torch.ones_like(like), self.dropout, self.training)
