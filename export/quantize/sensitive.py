"""Which layers should stay in float: found by what each of them costs the score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from tombola.train.evaluate import Scores, difference_interval

Made = TypeVar("Made")


@dataclass(frozen=True)
class Choice(Generic[Made]):
    """left_out: names of the layers that stay in float because of their cost; made: the file without them."""

    left_out: tuple[str, ...]
    made: Made
    scores: Scores


def choose(
    make: Callable[[Sequence[str]], Made],
    score: Callable[[Made], Scores],
    layers: Sequence[str],
    before: Scores,
    *,
    most_drop: float,
    seconds: float,
) -> Choice[Made]:
    """Leave layers in float, block by block, while the score is surely lower than before, by more than
    `most_drop` (0..1), and time remains.

    Each block is first left out alone; then they are left out together, the dearest first, for as long as
    that raises the score. Where chance alone could explain the drop, nothing is left out.
    """
    end = monotonic() + seconds
    best = _tried(make, score, ())
    if not _surely_worse(best.scores, before, most_drop):
        return best
    alone = []
    for block in _blocks(layers):
        if monotonic() > end:
            break
        alone.append((_tried(make, score, block).scores.main, block))
    for _, block in sorted(alone, key=lambda one: -one[0]):
        if monotonic() > end:
            break
        tried = _tried(make, score, (*best.left_out, *block))
        if tried.scores.main <= best.scores.main:
            break
        best = tried
        if not _surely_worse(best.scores, before, most_drop):
            break
    return best


def _tried(
    make: Callable[[Sequence[str]], Made], score: Callable[[Made], Scores], left_out: tuple[str, ...]
) -> Choice[Made]:
    made = make(left_out)
    return Choice(left_out, made, score(made))


def _surely_worse(scores: Scores, before: Scores, most_drop: float) -> bool:
    return before.main - scores.main > most_drop and difference_interval(scores, before).high < 0


def _blocks(layers: Sequence[str]) -> list[tuple[str, ...]]:
    """The layers by what they are part of: "stages.4.1.layers" of "stages.4.1.layers.0"."""
    blocks: dict[str, list[str]] = {}
    for layer in layers:
        blocks.setdefault(layer.rpartition(".")[0] or layer, []).append(layer)
    return [tuple(block) for block in blocks.values()]
