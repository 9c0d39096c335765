"""CIDEr-D (Vedantam et al. 2015, section 5): runs of words that few pictures' captions have count most."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tombola.train.metrics.bleu import ORDERS, Words, ngrams

SIGMA = 6.0
SCALE = 10.0

Gram = tuple[str, ...]


class _Vector(NamedTuple):
    """A caption as weights of its runs, by their order; their norms; and how many words it has."""

    weights: list[dict[Gram, float]]
    norms: list[float]
    length: int


class CiderD:
    """Scores captions against references; how rare a run is, is told by all references of all pictures."""

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        """references: of each picture, one or more."""
        self._pictures_with: Counter[Gram] = Counter()
        for own in references:
            self._pictures_with.update(
                {gram for one in own for order in range(1, ORDERS + 1) for gram in ngrams(one, order)}
            )
        self._log_pictures = math.log(len(references))
        self._references = [[self._vector(one) for one in own] for own in references]

    def scores(self, captions: Sequence[Words]) -> NDArray[np.float64]:
        """float64 [pictures], 0 … 10, of one caption a picture; their mean is CIDEr-D."""
        pictures = range(len(self._references))
        return np.array([self.score(*pair) for pair in zip(captions, pictures, strict=True)])

    def score(self, caption: Words, picture: int) -> float:
        """0 … 10: a caption against the references of one picture."""
        vector, own = self._vector(caption), self._references[picture]
        return SCALE * sum(_likeness(vector, one) for one in own) / len(own)

    def _vector(self, words: Words) -> _Vector:
        weights = [
            {
                gram: count * (self._log_pictures - math.log(max(1, self._pictures_with[gram])))
                for gram, count in ngrams(words, order).items()
            }
            for order in range(1, ORDERS + 1)
        ]
        norms = [math.sqrt(sum(weight**2 for weight in one.values())) for one in weights]
        # The reference implementation's length counts pairs of words.
        return _Vector(weights, norms, max(len(words) - 1, 0))


def _likeness(caption: _Vector, reference: _Vector) -> float:
    """The mean over orders of clipped cosines, less for another length."""
    total = 0.0
    for own, other, norm, other_norm in zip(
        caption.weights, reference.weights, caption.norms, reference.norms, strict=True
    ):
        product = sum(
            min(weight, other.get(gram, 0.0)) * other.get(gram, 0.0) for gram, weight in own.items()
        )
        total += product / (norm * other_norm) if norm and other_norm else 0.0
    difference = caption.length - reference.length
    return total / ORDERS * math.exp(-(difference**2) / (2 * SIGMA**2))
