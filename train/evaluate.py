"""How good a detector is: both mean average precisions, and a table by class."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.metrics.average_precision import DetectionScores, voc07_map
from tombola.train.metrics.coco import CocoScores, coco_map
from tombola.train.metrics.matching import Prediction
from tombola.train.tasks.detect.task import truths

PredictPicture = Callable[[NDArray[np.uint8]], Prediction]


@dataclass(frozen=True)
class Evaluation:
    """Scores of one detector on `pictures` pictures; both are computed from the same detections."""

    pictures: int
    voc07: DetectionScores
    coco: CocoScores


def evaluate(predict: PredictPicture, data: DetectionSet) -> Evaluation:
    """Score a detector given as a function: image_rgb_u8 [h, w, 3] -> Prediction in that picture's pixels.

    The function should answer with scores down to about 0.01: average precision needs the whole curve.
    """
    predictions = [predict(data.read(index)) for index in range(len(data))]
    return Evaluation(
        pictures=len(data),
        voc07=voc07_map(predictions, truths(data), data.classes),
        coco=coco_map(predictions, truths(data), data.classes),
    )
