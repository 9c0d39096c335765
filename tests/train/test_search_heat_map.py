"""What a search draws and how it ranks."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.train.metrics.score import Score
from tombola.train.search.axis import Axis
from tombola.train.search.heat_map import draw_search
from tombola.train.search.outcome import Outcome, ranked
from tombola.train.search.point import grid

RATE, PENALTY = "training.learning_rate", "training.weight_decay"


TOP1 = Score("top1", "share", higher_is_better=True)


def drawn(axes: Sequence[Axis], outcomes: Sequence[Outcome]) -> NDArray[Any]:
    png = draw_search(axes, outcomes, TOP1)
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image)


def test_a_third_axis_shows_its_best() -> None:
    a, b, c = (Axis(key, ("1", "2")) for key in "abc")
    flat = [Outcome(point, "done", 0.1 * n) for n, point in enumerate(grid([a, b]), start=1)]
    deep = [
        Outcome(point, "done", 0.1 * (1 + n // 2) - (0.05 if point.values[2] == "1" else 0))
        for n, point in enumerate(grid([a, b, c]))
    ]
    assert np.array_equal(drawn([a, b], flat), drawn([a, b, c], deep))


def test_the_best_come_first_in_either_direction_and_of_equals_the_smaller_loss() -> None:
    points = grid([Axis("a", ("1", "2", "3", "4"))])
    scores = ((0.5, 2.0), (None, None), (0.5, 1.0), (0.9, 3.0))
    outcomes = [
        Outcome(point, "done", score, 1, loss) for point, (score, loss) in zip(points, scores, strict=True)
    ]
    assert [one.point.values[0] for one in ranked(outcomes, TOP1)] == ["4", "3", "1", "2"]
    nats = Score("nll", "nats", higher_is_better=False)
    assert [one.point.values[0] for one in ranked(outcomes, nats)] == ["3", "1", "4", "2"]


def test_points_without_a_score_are_drawn() -> None:
    a, b = Axis("a", ("1", "2", "3")), Axis("b", ("1", "2"))
    points = grid([a, b])
    some = [Outcome(point, "failed" if n else "done", None if n else 0.5) for n, point in enumerate(points)]
    none = [Outcome(point, "failed") for point in points]
    assert not np.array_equal(drawn([a, b], some), drawn([a, b], none))
    line = [Outcome(point, "done", score) for point, score in zip(grid([a]), (0.1, None, 0.3), strict=True)]
    assert drawn([a], line).std() > 0
