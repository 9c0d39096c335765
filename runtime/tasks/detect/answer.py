"""What a detector found in one picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tombola.errors import TombolaError


@dataclass(frozen=True)
class Detection:
    """One found thing: box x1 y1 x2 y2 in pixels of the upright picture, score 0..1, class index, name."""

    box_xyxy: tuple[float, float, float, float]
    score: float
    label: int
    name: str


@dataclass(frozen=True, eq=False)
class Detections:
    """Everything found in one picture, best first. The arrays are read-only.

    boxes_xyxy: float32 [n, 4], x1 y1 x2 y2 in pixels of the upright picture, origin at its top left corner.
    scores:     float32 [n], 0..1, falling.
    labels:     int64 [n], class indices.
    names:      n class names, one for each box.
    size_hw:    height and width of the upright picture, in pixels.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    size_hw: tuple[int, int]

    def __post_init__(self) -> None:
        for array in (self.boxes_xyxy, self.scores, self.labels):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.scores)

    @overload
    def __getitem__(self, place: int) -> Detection: ...

    @overload
    def __getitem__(self, place: slice) -> "Detections": ...

    def __getitem__(self, place: int | slice) -> "Detection | Detections":
        """The detection at a place, 0 is the best and -1 the last; of a slice a `Detections` of its own."""
        if isinstance(place, slice):
            return Detections(
                self.boxes_xyxy[place],
                self.scores[place],
                self.labels[place],
                self.names[place],
                self.size_hw,
            )
        box, score, label = (
            self.boxes_xyxy[place].tolist(),
            float(self.scores[place]),
            int(self.labels[place]),
        )
        return Detection((box[0], box[1], box[2], box[3]), score, label, self.names[place])

    def __iter__(self) -> Iterator[Detection]:
        return (self[place] for place in range(len(self)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: size_hw, and for each box box_xyxy (to 0.01 px), score (to 0.0001), label and name."""
        return {
            "size_hw": list(self.size_hw),
            "detections": [
                {
                    "box_xyxy": [round(side, 2) for side in found.box_xyxy],
                    "score": round(found.score, 4),
                    "label": found.label,
                    "name": found.name,
                }
                for found in self
            ],
        }

    def draw(self, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a copy of the picture, uint8 [height, width, 3] RGB, with boxes, names and scores on it."""
        # Drawing is not needed for the answer, so it is not loaded before it is asked for.
        from tombola.runtime.tasks.detect.draw import draw_detections

        return draw_detections(image_rgb_u8, self)

    def to_supervision(self) -> Any:
        """Return `supervision.Detections` with the names under `data["class_name"]`.

        TombolaError with the install line where supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise TombolaError(
                "to_supervision() needs the supervision library; install it with: pip install 'tombola[live]'"
            ) from error
        return supervision.Detections(
            xyxy=self.boxes_xyxy.copy(),
            confidence=self.scores.copy(),
            class_id=self.labels.copy(),
            data={"class_name": np.array(self.names, dtype=str)},
        )
