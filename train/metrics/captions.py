"""How good captions are: BLEU, CIDEr-D and ROUGE-L against what people said."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.train.metrics.bleu import Words, bleu, bleu_counts
from tombola.train.metrics.bootstrap import resampled_means
from tombola.train.metrics.cider import CiderD
from tombola.train.metrics.rouge import rouge_l


@dataclass(frozen=True)
class CaptionScores:
    """One caption a picture, scored.

    captions: what was said, picture by picture. bleu_counts int64 [pictures, 10]; cider_d and rouge_l
    float64 [pictures]; as_told bool [pictures], whether it is word for word what a person said.
    """

    captions: tuple[tuple[str, ...], ...]
    bleu_counts: NDArray[np.int64]
    cider_d: NDArray[np.float64]
    rouge_l: NDArray[np.float64]
    as_told: NDArray[np.bool_]

    @property
    def pictures(self) -> int:
        return len(self.captions)

    @property
    def main(self) -> float:
        """CIDEr-D: the score that decides."""
        return float(self.cider_d.mean())

    @property
    def bleu(self) -> tuple[float, ...]:
        """BLEU-1 … BLEU-4, 0 … 1."""
        return tuple(bleu(self.bleu_counts.sum(axis=0)).tolist())

    @property
    def distinct(self) -> int:
        """How many different captions there are."""
        return len(set(self.captions))

    @property
    def words(self) -> int:
        """How many different words they use."""
        return len({word for caption in self.captions for word in caption})

    def resampled(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """CIDEr-D in each resample [r, pictures]; how rare a word is, is that of all pictures."""
        return resampled_means(self.cider_d, counts)

    def resampled_bleu4(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """BLEU-4 in each resample [r, pictures]."""
        return np.asarray(bleu(counts @ self.bleu_counts)[:, 3], np.float64)


def score_captions(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> CaptionScores:
    """Score one caption for each picture against its references, one or more."""
    return CaptionScores(
        captions=tuple(tuple(one) for one in captions),
        bleu_counts=np.stack([bleu_counts(*pair) for pair in zip(captions, references, strict=True)]),
        cider_d=CiderD(references).scores(captions),
        rouge_l=np.array([rouge_l(*pair) for pair in zip(captions, references, strict=True)]),
        as_told=np.array(
            [tuple(one) in map(tuple, own) for one, own in zip(captions, references, strict=True)]
        ),
    )
