"""What a classifier's file says to a picture or a clip, as it is scored."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.tasks.classify.model import Classifier
from tombola.train.tasks.classify.clip_task import ClipAnswer


def answers(model: Classifier) -> Callable[[Any], NDArray[np.float32] | ClipAnswer]:
    """The probability of each class; of a clip, whose path is given, what is said, and of which frames."""

    def of_clip(path: Any) -> ClipAnswer:
        found = model(path)
        assert found.places is not None
        rows = found.frame_probabilities
        return ClipAnswer(found.probabilities[None] if rows is None else rows, found.places)

    return of_clip if model.takes_clips else lambda picture: model(picture).probabilities
