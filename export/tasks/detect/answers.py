"""What a detector's file says to a picture, as it is scored."""

from collections.abc import Callable

from tombola.runtime.pictures.picture import Picture
from tombola.runtime.tasks.detect.model import Detector
from tombola.train.metrics.matching import Prediction
from tombola.train.tasks.detect.task import SCORING_THRESHOLD


def answers(model: Detector) -> Callable[[Picture], Prediction]:
    """Every box down to the score at which the metric's curves end."""

    def answer(picture: Picture) -> Prediction:
        found = model(picture, score_threshold=SCORING_THRESHOLD)
        return Prediction(found.boxes_xyxy, found.scores, found.labels)

    return answer
