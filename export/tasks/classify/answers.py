"""What a classifier's file says to a picture, as it is scored."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.pictures.picture import Picture
from tombola.runtime.tasks.classify.model import Classifier


def answers(model: Classifier) -> Callable[[Picture], NDArray[np.float32]]:
    """The probability of each class."""
    return lambda picture: model(picture).probabilities
