"""How a detector errs, as pictures: its worst false alarms, and the largest objects that it misses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.drawing.figure import INK, brief, new_figure, to_png
from tombola.train.metrics.iou import box_iou
from tombola.train.metrics.matching import Prediction
from tombola.train.tasks.task import Exhibit

MOST_MISTAKES = 8  # photos: each adds a fifth of a megabyte to the page
TILES_ACROSS = 2
FOUND_IOU = 0.5
# Below this a box has nothing to do with an object.
TOUCHING_IOU = 0.1
WRONG, MISSED, TRUTH = "#d55e00", "#cc79a7", "#56b4e9"


@dataclass(frozen=True)
class _Mistake:
    """A box [x1, y1, x2, y2] in picture `index`, how bad it is (higher is worse), and words for it; beside
    it the object that it belongs to, if any."""

    index: int
    box_xyxy: NDArray[np.float32]
    badness: float
    words: str
    truth_xyxy: NDArray[np.float32] | None = None


def mistake_exhibits(
    data: DetectionSet, predictions: Sequence[Prediction], score_threshold: float
) -> list[Exhibit]:
    """Pictures of the mistakes among the detections above `score_threshold`, one prediction a picture of
    `data`; difficult objects are not asked for and second boxes on an object not shown."""
    shown = [_above(prediction, score_threshold) for prediction in predictions]
    alarms = [alarm for index, one in enumerate(shown) for alarm in _false_alarms(data, index, one)]
    misses = [miss for index, one in enumerate(shown) for miss in _misses(data, index, one)]
    asked = sum(int((~record.difficult).sum()) for record in data.records)
    threshold = f"score at least {score_threshold:g}"
    exhibits = []
    if alarms:
        worst = _worst(alarms)
        sentence = (
            f"{len(alarms)} of {sum(len(one.scores) for one in shown)} detections of {threshold} are not on "
            f"an object of their class (IoU {FOUND_IOU}). The surest of {len(worst)} pictures, in orange; "
            "the object that was meant, if any, in blue. An object that nobody labelled shows here too."
        )
        exhibits.append(Exhibit("Worst false alarms", sentence, _draw(data, worst, WRONG)))
    if misses:
        worst = _worst(misses)
        sentence = (
            f"{len(misses)} of {asked} objects have no detection of their class of {threshold} on them (IoU "
            f"{FOUND_IOU}). The largest of {len(worst)} pictures, in pink."
        )
        exhibits.append(Exhibit("Largest misses", sentence, _draw(data, worst, MISSED)))
    return exhibits


def _above(prediction: Prediction, score_threshold: float) -> Prediction:
    kept = prediction.scores >= score_threshold
    return Prediction(prediction.boxes_xyxy[kept], prediction.scores[kept], prediction.labels[kept])


def _false_alarms(data: DetectionSet, index: int, shown: Prediction) -> list[_Mistake]:
    record = data.records[index]
    ious = box_iou(shown.boxes_xyxy, record.boxes_xyxy)  # [detections, objects]
    same = shown.labels[:, None] == record.labels[None]
    alarms = []
    for number in np.flatnonzero(~((ious >= FOUND_IOU) & same).any(axis=1)):
        said = f"{data.classes[shown.labels[number]]} {shown.scores[number]:.2f}"
        nearest = int(ious[number].argmax()) if len(record.labels) else -1
        if nearest < 0 or ious[number, nearest] < TOUCHING_IOU:
            words, truth = f"{said}: nothing there", None
        else:
            truth = record.boxes_xyxy[nearest]
            is_ = data.classes[record.labels[nearest]]
            words = f"{said}: badly placed" if same[number, nearest] else f"{said}: is {is_}"
        alarms.append(_Mistake(index, shown.boxes_xyxy[number], float(shown.scores[number]), words, truth))
    return alarms


def _misses(data: DetectionSet, index: int, shown: Prediction) -> list[_Mistake]:
    record = data.records[index]
    ious = box_iou(shown.boxes_xyxy, record.boxes_xyxy)
    found = ((ious >= FOUND_IOU) & (shown.labels[:, None] == record.labels[None])).any(axis=0)
    misses = []
    for number in np.flatnonzero(~found & ~record.difficult):
        x1, y1, x2, y2 = record.boxes_xyxy[number].tolist()
        area = (x2 - x1) * (y2 - y1)
        misses.append(
            _Mistake(index, record.boxes_xyxy[number], area, f"{data.classes[record.labels[number]]} missed")
        )
    return misses


def _worst(mistakes: Sequence[_Mistake]) -> list[_Mistake]:
    """The worst first, one a picture: a picture with twenty would fill the page."""
    of_picture: dict[int, _Mistake] = {}
    for mistake in sorted(mistakes, key=lambda mistake: -mistake.badness):
        of_picture.setdefault(mistake.index, mistake)
    return list(of_picture.values())[:MOST_MISTAKES]


def _draw(data: DetectionSet, mistakes: Sequence[_Mistake], colour: str) -> bytes:
    down = -(-len(mistakes) // TILES_ACROSS)
    figure = new_figure(down * 2.2)
    tiles = figure.subplots(down, TILES_ACROSS, squeeze=False).ravel()
    for tile in tiles:
        tile.axis("off")
    for tile, mistake in zip(tiles, mistakes, strict=False):
        tile.imshow(data.read(mistake.index))
        if mistake.truth_xyxy is not None:
            tile.add_patch(_outline(mistake.truth_xyxy, TRUTH))
        tile.add_patch(_outline(mistake.box_xyxy, colour))
        tile.set_title(brief(mistake.words, 32), fontsize=8, color=INK)
    return to_png(figure)


def _outline(box_xyxy: NDArray[np.float32], colour: str) -> Rectangle:
    x1, y1, x2, y2 = box_xyxy.tolist()
    return Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=2)
