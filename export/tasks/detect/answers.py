"""What a detector's file says to a picture, as it is scored."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.pictures.picture import Picture
from tombola.runtime.tasks.detect.model import Detector
from tombola.train.metrics.matching import Prediction
from tombola.train.tasks.detect.task import SCORING_THRESHOLD


def answers(model: Detector) -> Callable[..., Prediction]:
    """Every box down to the score at which the metric's curves end."""

    takes_proposals = "proposals" in model.contract.more_inputs

    def answer(picture: Picture, proposals_xyxy: NDArray[np.float32] | None = None) -> Prediction:
        given = proposals_xyxy if takes_proposals else None
        found = model(picture, proposals_xyxy=given, score_threshold=SCORING_THRESHOLD)
        return Prediction(found.boxes_xyxy, found.scores, found.labels)

    return answer
