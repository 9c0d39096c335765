"""Pairs of pictures as coins: how likely a count is if labels say nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.train.doctor.pair_test import PairCount


def test_pairs_are_coins() -> None:
    # Of 2^10 ways 45 + 10 + 1 have eight heads or more.
    assert PairCount(8, 10).chance_at_least(0.5) == pytest.approx(56 / 1024)
    assert PairCount(2, 10).chance_at_most(0.5) == pytest.approx(56 / 1024)
    assert PairCount(3, 3).chance_at_least(0.7) == pytest.approx(0.343)
    assert PairCount(0, 0).share == 0.5
    assert PairCount(300, 400).chance_at_least(0.5) < 1e-20


@given(own=st.integers(0, 60), more=st.integers(0, 60), share=st.floats(0.01, 0.99))
def test_the_two_tails_share_one_outcome(own: int, more: int, share: float) -> None:
    count = PairCount(own, own + more)
    here = math.comb(own + more, own) * share**own * (1 - share) ** more
    both = count.chance_at_least(share) + count.chance_at_most(share)
    assert both == pytest.approx(1 + here, abs=1e-9)
