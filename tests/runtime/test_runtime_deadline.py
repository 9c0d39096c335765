"""A model that would not end is stopped."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from tombola.errors import ModelError
from tombola.runtime.load import load
from tombola.runtime.session.deadline import Deadline

MakeClassifier = Callable[..., bytes]
BLACK = np.zeros((4, 4, 3), np.uint8)


def test_endless_loop_ends_at_the_deadline(make_classifier: MakeClassifier, endless_text: str) -> None:
    classifier = load(make_classifier(text=endless_text), device="cpu", deadline_s=0.2)
    started = time.perf_counter()
    with pytest.raises(ModelError, match=r"an answer took longer than the deadline of 0\.2 s"):
        classifier(BLACK)
    assert time.perf_counter() - started < 2


def test_deadline_that_is_kept_changes_nothing(make_classifier: MakeClassifier) -> None:
    within = load(make_classifier(), device="cpu", deadline_s=60)
    assert within(BLACK).to_dict() == load(make_classifier(), device="cpu")(BLACK).to_dict()


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "1", True])
def test_deadline_must_be_seconds(make_classifier: MakeClassifier, seconds: object) -> None:
    with pytest.raises(ModelError, match=r"deadline_s: .* must be a number of seconds above 0"):
        load(make_classifier(), device="cpu", deadline_s=seconds)  # type: ignore[call-overload]


def test_an_error_before_the_deadline_is_itself() -> None:
    with pytest.raises(ValueError, match="its own"), Deadline(60).watch("it", lambda: None):
        raise ValueError("its own")


def test_the_longest_deadline_is_as_good_as_none(make_classifier: MakeClassifier) -> None:
    assert load(make_classifier(), device="cpu", deadline_s=1e300, task="classify")(BLACK).labels
