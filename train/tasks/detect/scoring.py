"""How good a detector is: both mean average precisions, and what it takes for what, from the same
detections."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.metrics.average_precision import DetectionScores, voc07_map
from tombola.train.metrics.bootstrap import resampled_voc07
from tombola.train.metrics.coco import CocoScores, coco_map
from tombola.train.metrics.detection_confusions import count_detection_confusions
from tombola.train.metrics.matching import Prediction
from tombola.train.tasks.detect.task import truths


@dataclass(frozen=True, eq=False)
class DetectorScores:
    """Scores of one detector on the pictures of `data`; predictions: its answers to them, in order."""

    data: DetectionSet
    predictions: tuple[Prediction, ...]
    voc07: DetectionScores
    coco: CocoScores

    @property
    def pictures(self) -> int:
        return len(self.predictions)

    @property
    def main(self) -> float:
        """The score that decides, 0..1: VOC07 mAP."""
        return self.voc07.mean_average_precision

    def resampled(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """VOC07 mAP of each resample: counts int64 [r, pictures] -> [r]; NaN where no truth was drawn."""
        return resampled_voc07(self.predictions, truths(self.data), len(self.data.classes), counts)

    def confusions(self, score_threshold: float) -> NDArray[np.int64]:
        """int64 [classes + 1, classes + 1], as `count_detection_confusions` counts them."""
        asked = truths(self.data)
        return count_detection_confusions(self.predictions, asked, len(self.data.classes), score_threshold)


def score_detector(predictions: Sequence[Prediction], data: DetectionSet) -> DetectorScores:
    """Score the answers to the pictures of `data`, in their order and in each picture's own pixels.

    They should reach down to scores of about 0.01: average precision needs the whole curve.
    """
    return DetectorScores(
        data=data,
        predictions=tuple(predictions),
        voc07=voc07_map(predictions, truths(data), data.classes),
        coco=coco_map(predictions, truths(data), data.classes),
    )
