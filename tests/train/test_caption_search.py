"""Beam search on trees small enough to know every caption: against the text's own numbers, and against all
captions that there are."""

import itertools
import math
from collections.abc import Mapping, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tombola.train.networks.caption.search import BANNED, END, Found, Options, search

UNKNOWN, CELLS = BANNED[1], 3
Prefix = tuple[str, ...]
# What is said after what, with log-probabilities; "." ends a caption. The rest of a row's probability is the
# unknown word's, which no caption holds.
Tree = Mapping[Prefix, Mapping[str, float]]


class Teller:
    """A decoder that says what a tree says; its state is the number of the prefix. It looks at one cell, that
    of its step."""

    def __init__(self, tree: Tree) -> None:
        self.words = [
            "<end>",
            "<start>",
            "<unk>",
            *sorted({word for row in tree.values() for word in row} - {"."}),
        ]
        prefixes = list(tree)
        self.logits = torch.full((len(prefixes) + 1, len(self.words)), -torch.inf)
        self.then = torch.full((len(prefixes) + 1, len(self.words)), len(prefixes))
        self.logits[-1, UNKNOWN] = 0.0
        for number, prefix in enumerate(prefixes):
            rest = 1.0 - sum(math.exp(chance) for chance in tree[prefix].values())
            assert rest > -1e-6, prefix
            self.logits[number, UNKNOWN] = math.log(max(rest, 1e-30))
            for word, chance in tree[prefix].items():
                token = END if word == "." else self.words.index(word)
                self.logits[number, token] = chance
                if (*prefix, word) in tree:
                    self.then[number, token] = prefixes.index((*prefix, word))
        self.calls = 0

    def step(
        self, tokens: Tensor, state: tuple[Tensor, ...], _: object
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        self.calls += 1
        before, depth = state
        # The first word said is START, after which the prefix is still the empty one.
        now = torch.where(tokens == 1, before, self.then[before, tokens])
        looked = torch.nn.functional.one_hot(depth % CELLS, CELLS).float()
        return self.logits[now], (now, depth + 1), looked


def found(
    tree: Tree, beam: int, longest: int = 6, power: float = 1.0, no_repeat: int = 0
) -> list[tuple[str, float]]:
    teller = Teller(tree)
    return said(teller, run(teller, beam, longest, power, no_repeat))[0]


def run(
    teller: Teller, beam: int, longest: int, power: float, no_repeat: int = 0, pictures: int = 1
) -> Found:
    start = torch.zeros((pictures, beam), dtype=torch.int64)
    options = Options.of(beam, longest, power, no_repeat)

    # A state says of which dtype scores are, and a prefix's number is a whole one.
    def step(
        tokens: Tensor, state: tuple[Tensor, ...], memory: object
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        logits, after, looked = teller.step(tokens, tuple(one.long() for one in state), memory)
        return logits, tuple(one.float() for one in after), looked

    return search(step, None, (start.float(), start.float()), options, CELLS, len(teller.words))


def said(teller: Teller, answer: Found) -> list[list[tuple[str, float]]]:
    """For each picture its captions, " …" behind one that was cut, and their scores."""
    pictures = []
    for rows, scores in zip(answer.tokens.tolist(), answer.scores.tolist(), strict=True):
        captions = []
        for row, score in zip(rows, scores, strict=True):
            if score > -math.inf:
                words = list(itertools.takewhile(lambda token: token != END, row))
                text = " ".join(teller.words[token] for token in words)
                captions.append((text if END in row else f"{text} …", score))
        pictures.append(captions)
    return pictures


# The course text's tree for k = 2, filled where it says nothing.
TEXT: Tree = {
    (): {"he": -0.7, "I": -0.9},
    ("he",): {"hit": -1.0, "struck": -2.2},
    ("I",): {"was": -0.7, "got": -0.9},
    ("he", "hit"): {"me": -0.8, "a": -1.1},
    ("I", "was"): {"hit": -1.3, "struck": -2.2},
}


def test_the_texts_own_tree() -> None:
    sums = found(TEXT, 2, longest=2, power=0.0)
    assert [text for text, _ in sums] == ["I was …", "he hit …"]
    assert [score for _, score in sums] == pytest.approx([-1.6, -1.7])
    means = found(TEXT, 2, longest=3)
    assert [text for text, _ in means] == ["he hit me …", "he hit a …"]
    assert [score for _, score in means] == pytest.approx([-2.5 / 3, -2.8 / 3], abs=1e-6)


def log(**chances: float) -> dict[str, float]:
    return {"." if word == "end" else word: math.log(chance) for word, chance in chances.items()}


def test_the_greedy_way_is_not_the_best() -> None:
    tree = {
        (): log(a=0.6, b=0.4),
        ("a",): log(c=0.4, d=0.35),
        ("b",): log(e=0.9),
        ("a", "c"): log(end=1.0),
        ("a", "d"): log(end=1.0),
        ("b", "e"): log(end=1.0),
    }
    [(text, score)] = found(tree, 1, power=0.0)
    assert (text, round(math.exp(score), 6)) == ("a c", 0.24)
    text, score = found(tree, 2, power=0.0)[0]
    assert (text, round(math.exp(score), 6)) == ("b e", 0.36)


def test_an_early_end_counts_among_the_best_alone() -> None:
    tree = {(): log(a=0.5, end=0.3, b=0.2), ("a",): log(end=0.9, b=0.05), ("b",): log(end=0.5)}
    assert [text for text, _ in found(tree, 2, power=0.0)] == ["a", ""]
    # Third of three, it is not among the best two.
    tree = {**tree, (): log(a=0.5, b=0.3, end=0.2)}
    assert [text for text, _ in found(tree, 2, power=0.0)] == ["a", "b"]


def test_the_mean_reverses_the_sum() -> None:
    tree = {
        (): log(a=0.55, b=0.45),
        ("a",): log(end=0.8, c=0.1),
        ("b",): log(c=0.95),
        ("b", "c"): log(d=0.95),
        ("b", "c", "d"): log(end=0.95),
    }
    assert [text for text, _ in found(tree, 2, power=0.0)] == ["a", "b c d"]
    assert [text for text, _ in found(tree, 2, power=1.0)] == ["b c d", "a"]


def test_it_stops_at_n_ended_or_at_the_longest() -> None:
    sure = {(): log(a=0.9, end=0.1), ("a",): log(end=1.0)}
    teller = Teller(sure)
    run(teller, 2, 50, 1.0)
    assert teller.calls == 2
    endless = {("a",) * length: log(a=0.9) for length in range(9)}
    teller = Teller(endless)
    [captions] = said(teller, run(teller, 2, 5, 1.0))
    assert teller.calls == 5
    assert [text for text, _ in captions] == ["a a a a a …"]
    assert captions[0][1] == pytest.approx(math.log(0.9))


def test_the_weights_are_of_the_best_captions_words() -> None:
    teller = Teller({(): log(a=0.9, end=0.1), ("a",): log(b=0.9), ("a", "b"): log(end=1.0)})
    weights = run(teller, 2, 5, 0.0).weights[0]
    assert weights[:3].argmax(1).tolist() == [0, 1, 2]
    assert weights.sum(1).tolist() == [1, 1, 1, 0, 0]


WORDS = ("p", "q")


def all_captions(tree: Tree, longest: int, power: float, no_repeat: int) -> list[tuple[str, float]]:
    """Every caption of a full tree that ends in time, best first."""
    captions = []
    for length in range(longest):
        for words in itertools.product(WORDS, repeat=length):
            if no_repeat and _repeats(words, no_repeat):
                continue
            steps = [tree[words[:place]][words[place]] for place in range(length)] + [tree[words]["."]]
            captions.append((" ".join(words), sum(steps) / (length + 1) ** power))
    return sorted(captions, key=lambda one: -one[1])


def _repeats(words: Sequence[str], count: int) -> bool:
    runs = [tuple(words[start : start + count]) for start in range(len(words) - count + 1)]
    return len(set(runs)) < len(runs)


def full_tree(seed: int, longest: int) -> Tree:
    generator = torch.Generator().manual_seed(seed)
    tree = {}
    for length in range(longest):
        for words in itertools.product(WORDS, repeat=length):
            chances = torch.randn(3, generator=generator).log_softmax(0).tolist()
            tree[words] = dict(zip((*WORDS, "."), chances, strict=True))
    return tree


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0, 1, 2]))
@settings(max_examples=15, deadline=None)
def test_a_wide_beam_finds_every_caption(seed: int, power: float, no_repeat: int) -> None:
    tree = full_tree(seed, 4)
    wanted = all_captions(tree, 4, power, no_repeat)
    answer = found(tree, 24, 4, power, no_repeat)  # as many as continuations of the last step
    assert [text for text, _ in answer] == [text for text, _ in wanted]
    assert [score for _, score in answer] == pytest.approx([score for _, score in wanted], abs=1e-5)


def test_pictures_do_not_disturb_each_other() -> None:
    teller = Teller(TEXT)
    both = said(teller, run(teller, 2, 3, 1.0, pictures=2))
    assert both[0] == both[1] == said(teller, run(teller, 2, 3, 1.0))[0]
