"""A detector's question: which classes, how sure, how many, and whether piece by piece."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.pictures.picture import Picture, read_rgb
from tombola.runtime.tasks.detect.answer import Detections
from tombola.runtime.tasks.detect.model import Detector


@dataclass(frozen=True)
class Question:
    """What is asked of every picture; None, and no classes, is the model's own.

    classes: names of those to tell. score_threshold: 0..1, boxes must score higher; iou_threshold: 0..1, of
    boxes of a class that overlap more only the best stays; max_detections: how many boxes at most.
    tiles_px: the side of what the network sees, in pixels, to look at pieces of the picture as well.
    """

    classes: Sequence[str] = ()
    score_threshold: float | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
    tiles_px: int | None = None

    def of(self, detector: Detector) -> Callable[..., Detections]:
        """The function that asks `detector` about a picture: uint8 [height, width, 3] RGB, or halved before;
        and of a detector that is given proposals, float32 [k, 4] in pixels of the whole picture.

        ModelError for a class that it does not know.
        """
        numbers = _class_numbers(self.classes, detector.labels)
        defaults = detector.contract.defaults
        most = int(defaults["max_detections"] if self.max_detections is None else self.max_detections)
        # Other classes must not use up the count.
        asked_most = max(most, int(defaults["max_detections"])) if self.classes else self.max_detections

        def detect(
            picture: NDArray[np.uint8] | Picture, proposals_xyxy: NDArray[np.float32] | None = None
        ) -> Detections:
            return detector(
                picture,
                proposals_xyxy=proposals_xyxy,
                score_threshold=self.score_threshold,
                iou_threshold=self.iou_threshold,
                max_detections=asked_most,
            )

        def answer(
            picture: NDArray[np.uint8] | Picture, proposals_xyxy: NDArray[np.float32] | None = None
        ) -> Detections:
            if self.tiles_px is None:
                found = detect(picture, proposals_xyxy)
            else:
                from tombola.runtime.tasks.detect.tiles import detect_in_tiles

                iou = defaults["iou_threshold"] if self.iou_threshold is None else self.iou_threshold
                found = detect_in_tiles(detect, read_rgb(picture), input_px=self.tiles_px, iou_threshold=iou)
            return (_only(found, numbers) if self.classes else found)[:most]

        return answer


def _class_numbers(names: Sequence[str], labels: Sequence[str]) -> list[int]:
    unknown = [name for name in names if name not in labels]
    if unknown:
        from difflib import get_close_matches

        near = get_close_matches(unknown[0], labels, 1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        shown = ", ".join(labels[:100]) + (", …" if len(labels) > 100 else "")
        raise ModelError(f"the model knows no class {unknown[0]!r}.{meant} It knows {len(labels)}: {shown}.")
    return [labels.index(name) for name in names]


def _only(detections: Detections, numbers: Sequence[int]) -> Detections:
    kept = np.flatnonzero(np.isin(detections.labels, numbers))
    return Detections(
        detections.boxes_xyxy[kept],
        detections.scores[kept],
        detections.labels[kept],
        tuple(detections.names[place] for place in kept),
        detections.size_hw,
    )
