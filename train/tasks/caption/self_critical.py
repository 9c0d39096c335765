"""Self-critical training: captions like those of people become more probable (Rennie et al. 2017)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tombola.train.data.captions.caption_set import Caption
from tombola.train.data.captions.vocabulary import END, SIGNS, START, Vocabulary
from tombola.train.metrics.cider import CiderD
from tombola.train.networks.caption.search import BANNED
from tombola.train.tasks.caption.words_before import words_before


class Critic:
    """Draws captions from a network and compares them by CIDEr-D.

    The end of a caption counts as a word of it, for otherwise captions learn to stop before their last words.
    """

    def __init__(self, references: Sequence[Sequence[Caption]], vocabulary: Vocabulary) -> None:
        """references: of each training picture, whose rare runs of words are rare for the score too."""
        self._cider = CiderD([[(*one, SIGNS[END]) for one in own] for own in references])
        self._vocabulary = vocabulary

    def loss(self, network: nn.Module, maps: Tensor, indices: Sequence[int], n: int, longest: int) -> Tensor:
        """Of n captions drawn for each picture, -mean over words of advantage · log p(word): float [].

        maps float [P, C, rows, columns] of the pictures `indices`. A caption's advantage is its score less
        the mean score of the picture's other n - 1 (Luo 2020), so n is 2 or more.
        """
        tokens = draw(network, maps, n, longest)
        scores = self.scores(tokens, indices)
        advantages = (scores - scores.mean(1, keepdim=True)) * (n / (n - 1))
        logits, _ = network(maps, words_before(tokens))
        chances = _allowed(logits).log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
        said = _until_end(tokens)
        return -(advantages[..., None] * chances * said).sum() / said.sum()

    def scores(self, tokens: Tensor, indices: Sequence[int]) -> Tensor:
        """CIDEr-D, 0 … 10, of captions int64 [P, N, T] of the pictures `indices`: float32 [P, N]."""
        scores = [
            [self._cider.score(self._words(caption), index) for caption in captions]
            for captions, index in zip(tokens.tolist(), indices, strict=True)
        ]
        return torch.tensor(scores, device=tokens.device)

    def _words(self, tokens: list[int]) -> Caption:
        words = self._vocabulary.decode(tokens)
        return (*words, SIGNS[END]) if END in tokens else words


def draw(network: Any, maps: Tensor, n: int, longest: int) -> Tensor:
    """n captions a picture, each word drawn as often as the network finds it probable, without dropout:
    int64 [P, n, T], T at most `longest`, END behind the end."""
    inner = getattr(network, "module", network)
    with torch.no_grad():
        memory = inner.remember(maps)
        state = inner.decoder.start(memory, n, longest)
        last = torch.full((len(maps), n), START, device=maps.device)
        ended = torch.zeros_like(last, dtype=torch.bool)
        tokens: list[Tensor] = []
        while len(tokens) < longest and not ended.all():
            logits, state, _ = inner.decoder.step(last, state, memory)
            chances = _allowed(logits).softmax(-1).flatten(0, 1)
            last = chances.multinomial(1).view_as(last).masked_fill(ended, END)
            ended = ended | (last == END)
            tokens.append(last)
    return torch.stack(tokens, -1)


def _allowed(logits: Tensor) -> Tensor:
    """float32, -inf for the tokens that no caption holds."""
    banned = torch.zeros(logits.shape[-1], device=logits.device)
    banned[list(BANNED)] = -torch.inf
    return logits.float() + banned


def _until_end(tokens: Tensor) -> Tensor:
    """bool [P, N, T]: the words and the first END."""
    return ((tokens == END).cumsum(-1) - (tokens == END).int()) == 0
