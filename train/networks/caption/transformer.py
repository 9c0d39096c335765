"""A transformer that says one word after the other (Vaswani et al. 2017; norms first, Xiong et al. 2020).

Everywhere P is pictures, N captions of each, T words and D the numbers a word.
"""

from typing import Literal, NamedTuple, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.classify.mlp import DropoutShare
from tombola.train.networks.layers.cells import State
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.multi_head import MultiHeadAttention
from tombola.train.networks.layers.norm import LayerNorm
from tombola.train.networks.layers.positions import sinusoids
from tombola.train.networks.layers.transformer import FeedForward
from tombola.train.recipe.recipe import Section


class TransformerSettings(Section):
    """A transformer: `layers` layers on words of `width` numbers. Each looks with `heads` heads at the words
    before and at the cells of the picture's map, and has `hidden` units. dropout acts on words and on all
    that a layer adds. It wants a long training.warmup_steps."""

    kind: Literal["transformer"]
    layers: int = Field(default=2, ge=1, le=64)
    width: int = Field(default=256, ge=2, le=4096, multiple_of=2)
    heads: int = Field(default=4, ge=1, le=256)
    hidden: int = Field(default=1024, ge=1, le=16384)
    dropout: DropoutShare = 0.1

    @model_validator(mode="after")
    def _whole_heads(self) -> "TransformerSettings":
        if self.width % self.heads:
            raise ValueError(
                f"width = {self.width} is no multiple of heads = {self.heads}; change one of them"
            )
        return self


class LayersMemory(NamedTuple):
    """What a decoder knows of P pictures: their cells float [P, cells, C]; each layer's keys and values of
    them, [P, cells, heads · width]."""

    cells: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


class DecoderLayer(nn.Module):
    """x + attention to the words before, x + attention to the picture, x + feed-forward."""

    def __init__(
        self, name: str, settings: TransformerSettings, width: Axis, features: Axis, axes: Axes
    ) -> None:
        super().__init__()
        head_width = settings.width // settings.heads
        heads = (axes.new(f"{name}.{which}.heads", settings.heads) for which in ("words", "picture"))
        self.words_norm = LayerNorm(width)
        self.words = MultiHeadAttention(width, width, next(heads), head_width)
        self.picture_norm = LayerNorm(width)
        self.picture = MultiHeadAttention(width, features, next(heads), head_width)
        self.units = FeedForward(width, axes.new(f"{name}.hidden", settings.hidden))
        self.dropout = nn.Dropout(settings.dropout)

    def know(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of words [..., D]: [..., heads · width] each."""
        normed = self.words_norm(x)
        return self.words.key(normed), self.words.value(normed)

    def forward(
        self, x: Tensor, words: tuple[Tensor, Tensor], allowed: Tensor, picture: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """x float [P, N, T, D]; words: keys and values [P, N, C, heads · width], of which bool [..., T, C]
        are allowed; picture: those of the cells -> x, weights [P, N, T, cells], the mean over the heads."""
        pictures, captions, length = x.shape[:3]
        keys, values = (one.flatten(0, 1) for one in words)
        said, _ = self.words.attend(self.words_norm(x).flatten(0, 1), keys, values, allowed)
        x = x + self.dropout(said.unflatten(0, (pictures, captions)))
        seen, weights = self.picture.attend(self.picture_norm(x).flatten(1, 2), *picture)
        x = x + self.dropout(seen.unflatten(1, (captions, length)))
        return x + self.dropout(self.units(x)), weights.mean(1).unflatten(1, (captions, length))


class TransformerDecoder(nn.Module):
    """Cells of a picture and the words before -> logits of the next word. The embedding of words is the last
    layer too (Press & Wolf 2017)."""

    def __init__(self, settings: TransformerSettings, features: Axis, n_words: int, axes: Axes) -> None:
        super().__init__()
        # Positions are waves over all of these numbers, so none of them can be cut.
        width = Axis("decoder.width", settings.width, pinned=True)
        self.dropout = settings.dropout
        self.words = Linear(width, Axis("words", n_words, pinned=True))
        nn.init.normal_(self.words.weight, std=width.width**-0.5)
        nn.init.zeros_(self.words.bias)
        self.layers = nn.ModuleList(
            DecoderLayer(f"decoder.layers.{number}", settings, width, features, axes)
            for number in range(settings.layers)
        )
        self.norm = LayerNorm(width)
        # What comes out is still much like the word that went in: small, or that word would follow itself.
        nn.init.constant_(self.norm.weight, width.width**-0.5)

    def remember(self, cells: Tensor) -> LayersMemory:
        """float [P, cells, C] -> what is the same for every word."""
        return LayersMemory(
            cells,
            tuple(layer.picture.key(cells) for layer in self._layers),
            tuple(layer.picture.value(cells) for layer in self._layers),
        )

    def start(self, memory: LayersMemory, captions: int, longest: int) -> State:
        """Room for the layers' keys and values of `longest` words, [P, captions, longest, heads · width], and
        the place of the next word, int64 [P, captions]."""
        pictures = memory.cells.shape[0]
        kept = [
            memory.cells.new_zeros((pictures, captions, longest, known.out_features))
            for layer in self._layers
            for known in (layer.words.key, layer.words.value)
        ]
        place = torch.zeros((pictures, captions), dtype=torch.int64, device=memory.cells.device)
        return (*kept, place)

    def step(self, tokens: Tensor, state: State, memory: LayersMemory) -> tuple[Tensor, State, Tensor]:
        """tokens int64 [P, N], the words before -> logits [P, N, words], state, weights [P, N, cells]."""
        *kept, place = state
        places = torch.arange(kept[0].shape[2], device=place.device)
        here, allowed = places == place[..., None], places <= place[..., None]
        allowed = allowed.flatten(0, 1)[:, None, None]
        x = self._embed(tokens, place)[:, :, None]
        weights = x
        after: list[Tensor] = []
        for number, layer in enumerate(self._layers):
            key, value = layer.know(x)
            keys = torch.where(here[..., None], key, kept[2 * number])
            values = torch.where(here[..., None], value, kept[2 * number + 1])
            x, weights = layer(x, (keys, values), allowed, (memory.keys[number], memory.values[number]))
            after += (keys, values)
        return self.words(self.norm(x[:, :, 0])), (*after, place + 1), weights[:, :, 0]

    def forward(self, tokens: Tensor, memory: LayersMemory) -> tuple[Tensor, Tensor]:
        """Teacher forcing: tokens int64 [P, N, T], each the word before -> logits of the next ones
        [P, N, T, words], weights [P, N, T, cells]."""
        places = torch.arange(tokens.shape[2], device=tokens.device)
        allowed = places <= places[:, None]
        x = F.dropout(self._embed(tokens, places), self.dropout, self.training)
        weights = x
        for layer, *picture in zip(self._layers, memory.keys, memory.values, strict=True):
            x, weights = layer(x, layer.know(x), allowed, picture)
        return self.words(self.norm(x)), weights

    @property
    def _layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.layers))

    def _embed(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Words at their places, float [..., D]; scaled so that neither of the two drowns the other."""
        width = self.words.in_features
        words: Tensor = F.embedding(tokens, self.words.weight) * width**0.5
        return words + sinusoids(places, width)
