"""Distances of made pictures from real ones, held to the formula and to sets whose answer is known."""

import numpy as np
import pytest

from tombola.errors import DataError
from tombola.train.metrics.frechet import frechet_distance, precision_recall


def test_against_the_formula_with_a_symmetric_root() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 5)) + 1
    other = rng.standard_normal((200, 5)) @ rng.standard_normal((5, 5))
    first, second = np.cov(one.T), np.cov(other.T)
    values, vectors = np.linalg.eigh(first)
    root = np.asarray(vectors) @ np.diag(np.sqrt(values)) @ np.asarray(vectors).T
    shared = np.sqrt(np.linalg.eigvalsh(root @ second @ root)).sum()
    expected = np.square(one.mean(0) - other.mean(0)).sum() + np.trace(first + second) - 2 * shared
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one))


def test_of_two_gaussians_on_a_line() -> None:
    """N(0, 1) and N(1, 4): (0 - 1)² + (1 - 2)² = 2."""
    z = np.random.default_rng(1).standard_normal((1000, 1))
    z = (z - z.mean()) / z.std(ddof=1)
    assert frechet_distance(z, 2 * z + 1) == pytest.approx(2)


def test_precision_and_recall_of_sets_that_are_known() -> None:
    rng = np.random.default_rng(2)
    left, right = rng.standard_normal((400, 3)), rng.standard_normal((400, 3)) + 100
    both = np.concatenate([left, right])
    assert precision_recall(both, both) == (1.0, 1.0)
    assert precision_recall(left, right) == (0.0, 0.0)
    # All that is made is real, and half of what is real is never made.
    precision, recall = precision_recall(both, left[:300])
    assert precision == 1.0
    assert recall == pytest.approx(0.5, abs=0.05)


def test_the_radius_is_that_of_the_third_neighbour() -> None:
    real = np.array([[0.0], [1.0], [2.0], [3.0]])
    made = np.array([[-2.9], [-3.1], [5.9], [6.1]])  # 0 reaches as far as 3 is, and 3 as far as 0
    assert precision_recall(real, made)[0] == 0.5


def test_too_few() -> None:
    with pytest.raises(DataError, match="two pictures"):
        frechet_distance(np.zeros((1, 2)), np.zeros((5, 2)))
    with pytest.raises(DataError, match="more than 3"):
        precision_recall(np.zeros((3, 2)), np.zeros((5, 2)))
