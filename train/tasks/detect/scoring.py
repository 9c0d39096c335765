"""How good a detector is: both mean average precisions, from the same detections."""

from collections.abc import Sequence
from dataclasses import dataclass

from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.metrics.average_precision import DetectionScores, voc07_map
from tombola.train.metrics.coco import CocoScores, coco_map
from tombola.train.metrics.matching import Prediction
from tombola.train.tasks.detect.task import truths


@dataclass(frozen=True)
class DetectorScores:
    """Scores of one detector on `pictures` pictures."""

    pictures: int
    voc07: DetectionScores
    coco: CocoScores


def score_detector(predictions: Sequence[Prediction], data: DetectionSet) -> DetectorScores:
    """Score the answers to the pictures of `data`, in their order and in each picture's own pixels.

    They should reach down to scores of about 0.01: average precision needs the whole curve.
    """
    return DetectorScores(
        pictures=len(data),
        voc07=voc07_map(predictions, truths(data), data.classes),
        coco=coco_map(predictions, truths(data), data.classes),
    )
