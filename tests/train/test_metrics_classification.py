"""Top-1, top-5, precision, recall, F1 and confusions: by hand, by definition and by properties."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.errors import DataError, TrainingError
from tombola.train.metrics.classification import ClassificationScores, count_confusions, score_classification

# The textbook example: 10 cats, 8 dogs, 7 birds.
#            cat dog bird
CONFUSIONS = [[7, 2, 1], [1, 6, 1], [0, 0, 7]]
ANIMALS = ("cat", "dog", "bird")


def spread(confusions: list[list[int]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Answers and labels that have these confusions."""
    pairs = [
        (row, column)
        for row, counts in enumerate(confusions)
        for column, n in enumerate(counts)
        for _ in range(n)
    ]
    labels = np.array([row for row, _ in pairs])
    return np.eye(len(confusions))[[column for _, column in pairs]], labels


def animals() -> ClassificationScores:
    return score_classification(*spread(CONFUSIONS), ANIMALS)


def test_the_confusions_are_counted() -> None:
    scores = animals()
    assert scores.confusions.tolist() == CONFUSIONS
    assert scores.pictures == 25
    assert scores.accuracy == 20 / 25


def test_the_shares_of_each_class_by_hand() -> None:
    cat, dog, bird = animals().by_class()
    assert (cat.name, cat.truths, cat.right, cat.wrong, cat.missed) == ("cat", 10, 7, 1, 3)
    assert (cat.precision, cat.recall, cat.f1) == pytest.approx((7 / 8, 7 / 10, 14 / 18))
    assert (dog.precision, dog.recall, dog.f1) == pytest.approx((6 / 8, 6 / 8, 12 / 16))
    assert (bird.precision, bird.recall, bird.f1) == pytest.approx((7 / 9, 1, 14 / 16))
    assert animals().mean_f1 == pytest.approx((14 / 18 + 12 / 16 + 14 / 16) / 3)


def test_the_commonest_mistakes_come_first() -> None:
    assert animals().mistakes(3) == [("cat", "dog", 2), ("cat", "bird", 1), ("dog", "cat", 1)]
    assert animals().mistakes(99)[-1] == ("dog", "bird", 1)
    assert score_classification(np.eye(2), np.array([0, 1]), ("a", "b")).mistakes(5) == []


def test_a_class_that_never_occurs_has_no_shares() -> None:
    scores = score_classification(np.array([[0.9, 0.1, 0.0]]), np.array([0]), ANIMALS)
    assert np.isnan(
        [scores.by_class()[1].precision, scores.by_class()[1].recall, scores.by_class()[1].f1]
    ).all()
    assert scores.mean_f1 == 1.0


def test_a_class_that_is_never_answered_has_an_f1_of_0() -> None:
    cat, dog, _ = score_classification(np.array([[0.9, 0.1, 0.0]]), np.array([1]), ANIMALS).by_class()
    assert (cat.precision, np.isnan(cat.recall), cat.f1) == (0, True, 0)
    assert (np.isnan(dog.precision), dog.recall, dog.f1) == (True, 0, 0)


def test_the_five_most_probable() -> None:
    falling = np.array([[0.3, 0.25, 0.2, 0.1, 0.08, 0.05, 0.02]] * 7)
    scores = score_classification(falling, np.arange(7), tuple("abcdefg"))
    assert (scores.accuracy, scores.top5) == (1 / 7, 5 / 7)


def test_of_equal_ones_the_first_is_taken() -> None:
    scores = score_classification(np.full((6, 6), 1 / 6), np.arange(6), tuple("abcdef"))
    assert scores.confusions[:, 0].tolist() == [1] * 6
    assert scores.top5 == 5 / 6


@given(st.data())
def test_properties(data: Any) -> None:
    n_classes = data.draw(st.integers(1, 8))
    pictures = data.draw(st.integers(1, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    probabilities = rng.dirichlet(np.ones(n_classes), pictures).astype(np.float32)
    labels = rng.integers(0, n_classes, pictures)
    scores = score_classification(probabilities, labels, tuple(map(str, range(n_classes))))
    guesses = probabilities.argmax(axis=1)
    # The definitions, one picture at a time.
    for row in range(n_classes):
        for column in range(n_classes):
            assert scores.confusions[row, column] == ((labels == row) & (guesses == column)).sum()
    ranks = (probabilities > probabilities[np.arange(pictures), labels][:, None]).sum(axis=1)
    assert scores.accuracy == pytest.approx((ranks == 0).mean())
    assert scores.top5 == pytest.approx((ranks < 5).mean())
    assert scores.accuracy <= scores.top5 <= 1
    assert sum(counts.truths for counts in scores.by_class()) == pictures
    assert sum(counts.right + counts.wrong for counts in scores.by_class()) == pictures
    # A class's name does not matter: shuffled classes have the same scores.
    order = rng.permutation(n_classes)
    renamed = score_classification(probabilities[:, order], np.argsort(order)[labels], scores.classes)
    assert renamed.accuracy == scores.accuracy
    assert renamed.mean_f1 == pytest.approx(scores.mean_f1)


@pytest.mark.parametrize(
    ("shape", "labels"), [((3, 2), [0, 1]), ((2, 3), [0, 1]), ((2,), [0, 1]), ((0, 2), [])]
)
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, ...], labels: list[int]) -> None:
    with pytest.raises(DataError, match="do not fit"):
        score_classification(np.zeros(shape), np.array(labels, np.int64), ("a", "b"))


def test_an_answer_that_is_not_finite_is_no_guess() -> None:
    with pytest.raises(TrainingError, match="answer to picture 1 holds numbers that are not finite"):
        score_classification(np.array([[0.5, 0.5], [np.nan, 1.0]]), np.array([0, 0]), ("a", "b"))


def test_confusions_of_nothing_are_none() -> None:
    nothing = np.array([], np.int64)
    assert count_confusions(nothing, nothing, 2).tolist() == [[0, 0], [0, 0]]
