"""The learning rate by hand."""

import pytest

from tombola.train.loop.learn.schedule import learning_rate_factor


def test_learning_rate_by_hand() -> None:
    def factor(step: int) -> float:
        return learning_rate_factor(step, total_steps=110, warmup_steps=10, final_rate=0.1)

    assert factor(0) == pytest.approx(0.1)
    assert factor(9) == pytest.approx(1.0)
    assert factor(10) == pytest.approx(1.0)
    assert factor(60) == pytest.approx(0.55)
    assert factor(110) == pytest.approx(0.1)
    assert factor(500) == pytest.approx(0.1)
    # Of ten steps two are warm-up, however many are asked for.
    short = [learning_rate_factor(n, total_steps=10, warmup_steps=200, final_rate=0.0) for n in range(11)]
    assert short[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert short[6] == pytest.approx(0.5)
    assert short[10] == pytest.approx(0.0)
