"""Pairs of pictures as coins: how likely a count is if labels say nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.train.doctor.checks.label_gain import (
    MEANINGFUL,
    SURE,
    SURELY_VOID,
    TELLING_PAIRS,
    Gain,
    check_labels,
)
from tombola.train.doctor.checks.pair_test import PairCount


def test_pairs_are_coins() -> None:
    # Of 2^10 ways 45 + 10 + 1 have eight heads or more.
    assert PairCount(8, 10).chance_at_least(0.5) == pytest.approx(56 / 1024)
    assert PairCount(2, 10).chance_at_most(0.5) == pytest.approx(56 / 1024)
    assert PairCount(3, 3).chance_at_least(0.7) == pytest.approx(0.343)
    assert PairCount(0, 0).share == 0.5
    assert PairCount(300, 400).chance_at_least(0.5) < 1e-20


def test_so_many_pairs_tell_chance_from_a_meaningful_share_and_one_less_does_not() -> None:
    def tells(pairs: int) -> bool:
        meaningful, chance = PairCount(math.ceil(MEANINGFUL * pairs), pairs), PairCount(pairs // 2, pairs)
        return meaningful.chance_at_least(0.5) < SURE and chance.chance_at_most(MEANINGFUL) < SURELY_VOID

    assert all(tells(pairs) for pairs in range(TELLING_PAIRS, 300))
    assert not tells(TELLING_PAIRS - 1)


@pytest.mark.parametrize(
    ("own", "pairs", "by_heart", "level"),
    [
        (14, 25, True, "skipped"),  # rightly labelled or shuffled: it cannot be told
        (8, 25, True, "skipped"),
        (24, 25, True, "ok"),
        (50, 100, True, "fault"),
        (62, 100, True, "warning"),
        (52, 100, False, "skipped"),  # nothing was learnt by heart in the time
        (90, 100, False, "ok"),
        (3, 5, False, "skipped"),
    ],
)
def test_labels_are_judged_only_where_pictures_suffice(
    own: int, pairs: int, by_heart: bool, level: str
) -> None:
    found = check_labels(Gain(200, PairCount(own, pairs), by_heart))
    assert found.level == level
    assert ("too few pictures to tell" in found.sentence) == (level == "skipped" and pairs < TELLING_PAIRS)


@given(own=st.integers(0, 60), more=st.integers(0, 60), share=st.floats(0.01, 0.99))
def test_the_two_tails_share_one_outcome(own: int, more: int, share: float) -> None:
    count = PairCount(own, own + more)
    here = math.comb(own + more, own) * share**own * (1 - share) ** more
    both = count.chance_at_least(share) + count.chance_at_most(share)
    assert both == pytest.approx(1 + here, abs=1e-9)
