"""BLEU of captions (Papineni et al. 2002), as coco-caption computes it: over all pictures at once, with the
closest reference length, the shorter of two equally close ones."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Words = Sequence[str]
ORDERS = 4
# What coco-caption adds so that nothing is divided by 0.
_TINY, _SMALL = 1e-15, 1e-9


def ngrams(words: Words, order: int) -> Counter[tuple[str, ...]]:
    """How often each run of `order` words comes."""
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


def bleu_counts(caption: Words, references: Sequence[Words]) -> NDArray[np.int64]:
    """int64 [10] of one picture, to be summed: for 1 … 4 words in a row how many the references have too,
    then for the same how many there are; the caption's length, and the closest of the references."""
    right, said = [], []
    for order in range(1, ORDERS + 1):
        most: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            most |= ngrams(reference, order)
        own = ngrams(caption, order)
        right.append((own & most).total())
        said.append(own.total())
    closest = min((abs(len(one) - len(caption)), len(one)) for one in references)[1]
    return np.array([*right, *said, len(caption), closest], np.int64)


def bleu(counts: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Summed counts [..., 10] -> BLEU-1 … BLEU-4, float64 [..., 4]."""
    right, said = counts[..., :ORDERS], counts[..., ORDERS : 2 * ORDERS]
    precisions = np.cumprod((right + _TINY) / (said + _SMALL), axis=-1)
    means = precisions ** (1 / np.arange(1, ORDERS + 1))
    ratio = (counts[..., -2:-1] + _TINY) / (counts[..., -1:] + _SMALL)
    return np.asarray(means * np.exp(np.minimum(0, 1 - 1 / ratio)), np.float64)
