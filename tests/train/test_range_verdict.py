"""What the doctor says of a range test, on tests whose few numbers are written by hand."""

import math

import pytest

from tombola.train.doctor.checks.range_plot import draw_range_test
from tombola.train.doctor.checks.range_test import RangeTest, check_learning_rate


@pytest.mark.parametrize(
    ("rate", "level", "word"),
    [
        (0.05, "ok", "suggests"),
        (50.0, "fault", "too high"),
        (1e-5, "warning", "slowly"),
        (0.7, "warning", "rises"),
    ],
)
def test_the_recipes_rate_is_compared(rate: float, level: str, word: str) -> None:
    test = RangeTest((1e-6, 0.5, 2.0), (10.0, 1.0, 99.0), (10.0, 1.0, 99.0), 10.0, 0.05, None, 2.0)
    found = check_learning_rate(test, rate)
    assert (found.check, found.level) == ("learning rate", level)
    assert word in found.sentence


def test_a_rate_is_high_only_beyond_the_lowest_loss() -> None:
    losses = (10.0, 9.0, 1.0, 8.0)
    test = RangeTest((1e-4, 1e-3, 1e-2, 1e-1), losses, losses, 10.0, 2.5e-3, None, None)
    assert check_learning_rate(test, 1e-3).level == "ok"
    assert check_learning_rate(test, 1e-2).level == "ok"
    assert "by 78% of what it had fallen" in check_learning_rate(test, 1e-1).sentence
    eager = RangeTest((1e-6, 1e-4, 1.0), (2.0, 0.0, 0.0), (2.0, 0.0, 0.0), 2.0, 1e-4, None, None)
    assert check_learning_rate(eager, 9e-3).level == "ok"
    assert "far above" in check_learning_rate(eager, 2e-2).sentence


def test_what_a_network_that_knew_much_forgets_is_told() -> None:
    losses = (0.1, 0.1, 1.5, 9.0)
    test = RangeTest((1e-4, 1e-3, 1e-2, 1e-1), losses, losses, 0.1, None, None, 0.1, ignorant_loss=2.0)
    assert test.knows
    assert [check_learning_rate(test, rate).level for rate in (1e-3, 1e-2, 0.1)] == ["ok", "warning", "fault"]
    assert "rises to 1.5 from 0.1" in check_learning_rate(test, 1e-2).sentence


def test_a_rate_just_below_an_explosion_to_infinity_is_high() -> None:
    losses = (10.0, 1.0, math.inf)
    test = RangeTest((1e-3, 1e-2, 1e-1), losses, losses, 10.0, 2.5e-3, None, 0.1)
    assert "by 100% of what it had fallen" in check_learning_rate(test, 0.05).sentence


def test_a_loss_that_falls_nowhere_gives_no_advice() -> None:
    flat = RangeTest((1e-6, 1.0), (2.0, 2.0), (2.0, 2.0), 2.0, None, None, None)
    assert check_learning_rate(flat, 0.1).level == "warning"
    assert draw_range_test(flat, 0.1).startswith(b"\x89PNG")
    diverged = RangeTest((1e-6, 0.1, 1.0), (2.0, 1.0, 2.0), (2.0, 1.0, 2.0), 2.0, 0.01, 1.0, None)
    assert check_learning_rate(diverged, 1.0).level == "fault"
    assert "lost again" in check_learning_rate(diverged, 1.0).sentence
    assert check_learning_rate(diverged, 0.05).level == "ok"
