"""Curves of a training as a picture."""

import cv2
import numpy as np

from tombola.train.drawing.curves import draw_curves
from tombola.train.metrics.score import Score

CLOSENESS = Score("closeness", "share", higher_is_better=True)


def test_curves_are_a_picture() -> None:
    rows = [{"epoch": 1.0, "loss": 2.0, "loss_square": 2.0}, {"epoch": 2.0, "loss": 1.0, "loss_square": 1.0}]
    blank = cv2.imdecode(np.frombuffer(draw_curves(rows[:1], CLOSENESS), np.uint8), cv2.IMREAD_COLOR)
    scored = [row | {"valid_closeness": 0.5} for row in rows]
    drawn = cv2.imdecode(np.frombuffer(draw_curves(scored, CLOSENESS), np.uint8), cv2.IMREAD_COLOR)
    assert blank is not None
    assert drawn is not None
    assert (blank != drawn).any()
