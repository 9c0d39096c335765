"""ROUGE-L of captions (Lin 2004): the longest common subsequence, as coco-caption scores it."""

from collections.abc import Sequence

from tombola.train.metrics.bleu import Words

BETA = 1.2


def rouge_l(caption: Words, references: Sequence[Words]) -> float:
    """0 … 1: of the best precision and the best recall over the references, which may be of two."""
    if not caption:
        return 0.0
    common = [_common(caption, one) for one in references]
    precision = max(common) / len(caption)
    recall = max(length / len(one) for length, one in zip(common, references, strict=True))
    if precision == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common(one: Words, other: Words) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        above = row
        row = [0]
        for place, also in enumerate(other):
            row.append(above[place] + 1 if word == also else max(above[place + 1], row[place]))
    return row[-1]
