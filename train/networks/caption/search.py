"""Beam search: the captions that a decoder finds most probable (Sutskever et al. 2014, section 3.2).

All of it is tensors of fixed shapes in a loop, so that the exporter can follow: see `repeat`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from tombola.train.networks.layers.repeat import repeat

# Tokens that no caption holds: what begins it, and the word for all unknown ones.
END, BANNED = 0, (1, 2)

# (tokens int64 [P, N], state, memory) -> logits [P, N, words], state, weights of the cells [P, N, cells].
Step = Callable[[Tensor, tuple[Tensor, ...], Any], tuple[Tensor, tuple[Tensor, ...], Tensor]]


class Options(NamedTuple):
    """How captions are searched for: whole numbers int64 [], length_power float32 [].

    beam_size: how many captions are followed, and how many are found. max_length: words at most, the end
    counted. length_power: a caption's score is its log-probability over length^power: 0 is the sum, 1 the
    mean. no_repeat: so many words in a row are said only once; 0 forbids nothing.
    """

    beam_size: Tensor
    max_length: Tensor
    length_power: Tensor
    no_repeat: Tensor

    @classmethod
    def of(
        cls, beam_size: int = 3, max_length: int = 20, length_power: float = 1.0, no_repeat: int = 0
    ) -> "Options":
        whole = (torch.tensor(number) for number in (beam_size, max_length, no_repeat))
        beam, longest, repeat = whole
        return cls(beam, longest, torch.tensor(float(length_power)), repeat)


class Found(NamedTuple):
    """The best captions of each picture, best first.

    tokens int64 [P, K, T], END after the last word; a caption without END was cut. scores float [P, K], -inf
    where there is no caption. weights float [P, T, cells] of the best caption's words.
    """

    tokens: Tensor
    scores: Tensor
    weights: Tensor


class _Beams(NamedTuple):
    """What the loop carries. K captions of each of P pictures that go on, and the K best that have ended."""

    step: Tensor  # int64 []
    tokens: Tensor  # int64 [P, K, T]
    last: Tensor  # int64 [P, K], the newest word
    totals: Tensor  # float [P, K], sums of log-probabilities; -inf where there is none
    weights: Tensor  # float [P, K, T, cells]
    runs: Tensor  # int64 [P, K, T]: how many words before each place are those before the next word
    done_tokens: Tensor
    done_scores: Tensor
    done_weights: Tensor
    done_count: Tensor  # int64 [P]: how many have ended, all counted


def search(
    step: Step, memory: Any, state: tuple[Tensor, ...], options: Options, n_cells: int, n_words: int
) -> Found:
    """Follow the K = beam_size best beginnings until K captions have ended, or are as long as allowed.

    state: before the first word, each tensor [P, K, …]. An end counts where it is among the best K
    continuations of all; the others fill the K places. If none ends in time, the beginnings are the answer.
    """
    beams, state = _begin(state[0], options, n_cells), tuple(state)
    places = torch.arange(n_words, device=state[0].device)
    banned = torch.where((places == BANNED[0]) | (places == BANNED[1]), -torch.inf, 0.0)
    count = len(beams)

    def goes_on(*carried: Tensor) -> Tensor:
        now = _Beams(*carried[:count])
        return (now.step < options.max_length) & (now.done_count < now.totals.shape[1]).any()

    def extend(*carried: Tensor) -> tuple[Tensor, ...]:
        now = _Beams(*carried[:count])
        logits, after, weights = step(now.last, carried[count:], memory)
        chances = logits.log_softmax(-1) + banned
        chances = _without_repeats(chances, now, options.no_repeat)
        beams, parents = _grow(now, chances, weights, options.length_power)
        return (*beams, *(_pick(part, parents) for part in after))

    carried = repeat(goes_on, extend, (*beams, *state))
    return _found(_Beams(*carried[:count]), options.length_power)


def _begin(state: Tensor, options: Options, n_cells: int) -> _Beams:
    pictures, beams = state.shape[0], state.shape[1]
    longest = cast(int, options.max_length.item())  # a whole number, or a symbol of one
    torch._check(longest >= 1)
    shape = (pictures, beams, longest)
    device = state.device
    totals = state.new_full((pictures, beams), -torch.inf)
    first = torch.arange(beams, device=device) == 0  # all begin alike: one is enough
    return _Beams(
        step=torch.zeros((), dtype=torch.int64, device=device),
        tokens=torch.zeros(shape, dtype=torch.int64, device=device),
        last=torch.ones((pictures, beams), dtype=torch.int64, device=device),
        totals=torch.where(first, 0.0, totals),
        weights=state.new_zeros((*shape, n_cells)),
        runs=torch.zeros(shape, dtype=torch.int64, device=device),
        done_tokens=torch.zeros(shape, dtype=torch.int64, device=device),
        done_scores=totals,
        done_weights=state.new_zeros((*shape, n_cells)),
        done_count=torch.zeros((pictures,), dtype=torch.int64, device=device),
    )


def _without_repeats(chances: Tensor, now: _Beams, no_repeat: Tensor) -> Tensor:
    """-inf for each word that would say the last no_repeat words again: it stood behind them before."""
    places = torch.arange(now.tokens.shape[2], device=chances.device)
    again = (no_repeat > 0) & (places < now.step) & (now.runs >= no_repeat - 1)
    return chances.scatter(-1, torch.where(again, now.tokens, BANNED[0]), -torch.inf)


def _grow(now: _Beams, chances: Tensor, weights: Tensor, power: Tensor) -> tuple[_Beams, Tensor]:
    """One word more: the beams after it, and which beam each comes from, int64 [P, K]."""
    beams, n_words = chances.shape[1], chances.shape[2]
    # Of 2 K, no more than K end: each beam can end once.
    totals, places = (now.totals[..., None] + chances).flatten(1).topk(2 * beams, 1)
    parents, words = places // n_words, places % n_words
    ends = words == END

    here = torch.arange(now.tokens.shape[2], device=chances.device) == now.step
    looked = torch.where(here[:, None], weights[:, :, None], now.weights)
    length = (now.step + 1).to(totals.dtype)

    is_open = (now.done_count < beams)[:, None]
    ending = (ends & is_open & (totals > -torch.inf))[:, :beams]
    scores = torch.where(ending, totals[:, :beams] / length**power, -torch.inf)
    done_scores, kept = torch.cat([now.done_scores, scores], 1).topk(beams, 1)
    ended = parents[:, :beams]
    done_tokens = _pick(torch.cat([now.done_tokens, _pick(now.tokens, ended)], 1), kept)
    done_weights = _pick(torch.cat([now.done_weights, _pick(looked, ended)], 1), kept)

    totals, going = torch.where(ends, -torch.inf, totals).topk(beams, 1)
    parents, words = parents.gather(1, going), words.gather(1, going)
    tokens, runs = _pick(now.tokens, parents), _pick(now.runs, parents)
    before = torch.cat([torch.zeros_like(runs[..., :1]), runs[..., :-1]], -1)
    same = torch.cat([torch.zeros_like(tokens[..., :1]), tokens[..., :-1]], -1) == words[..., None]
    runs = torch.where(same, before + 1, 0)
    return (
        _Beams(
            step=now.step + 1,
            tokens=torch.where(here, words[..., None], tokens),
            last=words,
            totals=totals,
            weights=_pick(looked, parents),
            runs=runs,
            done_tokens=done_tokens,
            done_scores=done_scores,
            done_weights=done_weights,
            done_count=now.done_count + ending.sum(1),
        ),
        parents,
    )


def _pick(part: Tensor, beams: Tensor) -> Tensor:
    """Of part [P, K, …] the beams int64 [P, B] -> [P, B, …]."""
    index = beams.reshape(beams.shape + (1,) * (part.dim() - 2))
    return part.gather(1, index.expand(-1, -1, *part.shape[2:]))


def _found(last: _Beams, power: Tensor) -> Found:
    ended = (last.done_count > 0)[:, None]
    cut_scores = last.totals / last.step.to(last.totals.dtype) ** power
    return Found(
        torch.where(ended[..., None], last.done_tokens, last.tokens),
        torch.where(ended, last.done_scores, cut_scores),
        torch.where(ended[..., None], last.done_weights[:, 0], last.weights[:, 0]),
    )
