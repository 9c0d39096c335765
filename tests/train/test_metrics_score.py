"""Scores: direction, ties, and how they are told."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.train.metrics.score import Score, percent

ACCURACY = Score("accuracy", "share", higher_is_better=True)
NATS = Score("nll", "nats", higher_is_better=False)


def rows(score: Score, *pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"epoch": n, score.key: value, "loss": loss} for n, (value, loss) in enumerate(pairs, start=1)]


@pytest.mark.parametrize(("score", "epoch"), [(ACCURACY, 2), (NATS, 3)])
def test_the_best_row_is_that_of_the_better_direction(score: Score, epoch: int) -> None:
    best = score.best(rows(score, (0.5, 3), (0.9, 2), (0.1, 1)))
    assert best is not None
    assert best["epoch"] == epoch


def test_of_equal_scores_the_smaller_loss_is_better_and_of_equal_losses_the_first() -> None:
    for score in (ACCURACY, NATS):
        best = score.best(rows(score, (0.5, 3), (0.5, 1), (0.5, 2), (0.5, 1)))
        assert best is not None
        assert best["epoch"] == 2


def test_rows_without_the_score_are_passed_over() -> None:
    assert ACCURACY.best([]) is None
    assert ACCURACY.best(rows(NATS, (0.5, 1))) is None
    best = ACCURACY.best([{"epoch": 1}, {"epoch": 2, "valid_accuracy": 0.1}])
    assert best == {"epoch": 2, "valid_accuracy": 0.1}


@given(st.lists(st.floats(0, 1), min_size=1))
def test_a_score_and_its_opposite_choose_from_both_ends(values: list[float]) -> None:
    pairs = [(value, 1.0) for value in values]
    high, low = ACCURACY.best(rows(ACCURACY, *pairs)), NATS.best(rows(NATS, *pairs))
    assert high is not None
    assert low is not None
    assert (high[ACCURACY.key], low[NATS.key]) == (max(values), min(values))


def test_scores_are_told_in_their_units() -> None:
    assert ACCURACY.tell(0.63214) == "63.21 %"
    assert NATS.tell(1.23456) == "1.235 nats"
    assert Score("fid", "", higher_is_better=False).tell(12.0) == "12"
    assert (ACCURACY.number(0.5), NATS.number(0.5)) == (50, 0.5)
    assert (percent(0.5), percent(1 / 3, 2), percent(math.nan)) == ("50.0", "33.33", "–")
