"""BLEU, CIDEr-D and ROUGE-L against what coco-caption's own scorers (pycocoevalcap 1.2) say of the same
captions."""

import numpy as np
import pytest

from tombola.train.metrics.bleu import bleu, bleu_counts
from tombola.train.metrics.bootstrap import picture_counts
from tombola.train.metrics.captions import score_captions
from tombola.train.metrics.rouge import rouge_l

CAPTIONS = [
    "a brown dog runs on the grass",
    "two men",
    "a girl in a red shirt jumps into the water with a ball",
    "a man is is is riding a bike",
]
REFERENCES = [
    ["a dog runs across green grass", "the brown dog is running on grass", "a dog"],
    ["two men are standing by a wall", "men talk"],
    [
        "a girl jumps into the pool",
        "the child in red is in the water",
        "a young girl with a ball is jumping",
    ],
    ["a man riding a bike", "a person rides a bicycle down a hill", "the man is riding his bike fast"],
]
SCORES = score_captions(
    [one.split() for one in CAPTIONS], [[one.split() for one in own] for own in REFERENCES]
)


def test_all_are_as_the_reference_implementation_has_them() -> None:
    assert SCORES.bleu == pytest.approx(
        [0.8666666666377778, 0.6831300510394507, 0.39924098487797377, 4.277972007272322e-05], rel=1e-12
    )
    assert SCORES.cider_d == pytest.approx([1.70741016, 1.49558941, 1.26410598, 2.05929274], abs=1e-8)
    assert SCORES.rouge_l == pytest.approx(
        [0.7648902821316614, 0.6288659793814433, 0.5637707948243993, 0.8026315789473684]
    )
    assert SCORES.main == pytest.approx(1.6315995717773684)


def test_of_two_equally_close_lengths_the_shorter_counts() -> None:
    assert bleu_counts(["a"] * 4, [["a"] * 5, ["a"] * 3])[-1] == 3


def test_a_short_caption_pays_for_its_brevity() -> None:
    # Both words are right: precision 1, and half as long as the reference: exp(1 - 2).
    assert bleu(bleu_counts(["a", "b"], [["a", "b", "c", "d"]]))[0] == pytest.approx(np.exp(-1), abs=1e-8)


def test_nothing_said_scores_nothing() -> None:
    scores = score_captions([(), ("a", "dog")], [[("a", "dog")], [("a", "dog")]])
    assert scores.cider_d[0] == scores.rouge_l[0] == rouge_l((), [("a",)]) == 0


def test_resampling_every_picture_once_gives_the_scores() -> None:
    once = np.ones((1, 4), np.int64)
    assert SCORES.resampled(once) == pytest.approx([SCORES.main])
    assert SCORES.resampled_bleu4(once) == pytest.approx([SCORES.bleu[3]])
    many = SCORES.resampled(picture_counts(4))
    assert many.min() < SCORES.main < many.max()


def test_what_is_told_of_variety() -> None:
    scores = score_captions([("a", "b"), ("a", "b"), ("c",)], [[("a",)]] * 3)
    assert (scores.pictures, scores.distinct, scores.words) == (3, 2, 3)
