import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.train.metrics.average_precision import voc07_map
from tombola.train.metrics.bootstrap import interval, picture_counts, resampled_means, resampled_voc07
from tombola.train.metrics.matching import Prediction, Truth


def scene(rng: np.random.Generator) -> tuple[Prediction, Truth]:
    """Boxes of two classes in a small space, so that many overlap; distinct scores."""

    def boxes(count: int) -> np.ndarray:
        corner = rng.integers(0, 8, (count, 2)).astype(np.float32)
        return np.concatenate([corner, corner + rng.integers(2, 6, (count, 2))], axis=1)

    found, there = int(rng.integers(0, 6)), int(rng.integers(0, 4))
    prediction = Prediction(boxes(found), rng.random(found), rng.integers(0, 2, found))
    return prediction, Truth(boxes(there), rng.integers(0, 2, there), rng.random(there) < 0.2)


@given(st.integers(0, 2**31))
def test_a_resample_is_the_score_of_the_pictures_drawn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [scene(rng) for _ in range(6)]
    counts = picture_counts(6, resamples=4, seed=seed)
    got = resampled_voc07([p for p, _ in pairs], [t for _, t in pairs], 2, counts)
    for row, score in zip(counts, got, strict=True):
        drawn = [pair for pair, times in zip(pairs, row, strict=True) for _ in range(times)]
        plain = voc07_map([p for p, _ in drawn], [t for _, t in drawn], ("a", "b"))
        assert score == pytest.approx(plain.mean_average_precision, nan_ok=True, abs=1e-12)


def test_every_resample_draws_as_many_pictures() -> None:
    counts = picture_counts(50, resamples=200)
    assert counts.shape == (200, 50)
    assert (counts.sum(axis=1) == 50).all()
    assert (counts == picture_counts(50, resamples=200)).all()
    # A picture is missing from about 1/e of the resamples.
    assert (counts == 0).mean() == pytest.approx(np.exp(-1), abs=0.02)


def test_the_interval_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    got = interval(resampled_means(values, picture_counts(400, resamples=4000)))
    error = values.std() / np.sqrt(400)
    assert got.deviation == pytest.approx(error, rel=0.05)
    assert got.low == pytest.approx(values.mean() - 1.96 * error, abs=0.03)
    assert got.high == pytest.approx(values.mean() + 1.96 * error, abs=0.03)


def test_nothing_to_find_has_no_interval() -> None:
    nothing = Prediction(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    empty = Truth(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    got = interval(resampled_voc07([nothing] * 3, [empty] * 3, 2, picture_counts(3, resamples=5)))
    assert np.isnan([got.low, got.high, got.deviation]).all()
