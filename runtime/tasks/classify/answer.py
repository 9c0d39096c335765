"""What a classifier says one picture shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError


@dataclass(frozen=True)
class Prediction:
    """One class: its probability 0..1, its index and its name."""

    probability: float
    label: int
    name: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the probability to 0.000001."""
        return {"name": self.name, "label": self.label, "probability": round(self.probability, 6)}


@dataclass(frozen=True, eq=False)
class Classification:
    """How probable each class is for one picture, or one clip. The arrays are read-only.

    probabilities: float32 [classes], 0..1, adding up to 1.
    labels:        the class names, in the same order.
    size_hw:       height and width of the upright picture, in pixels.
    attention:     float32 [rows, columns], how much each cell of the part `seen` mattered, their sum 1; None
                   of models that do not tell.
    seen:          top, left, height and width in pixels of what the network saw of the picture.
    frame_probabilities: float32 [n, classes], the same for each frame that was looked at, of models that name
                   frames; else None. probabilities are their mean.
    places:        int64 [n], which frames of the clip were looked at, from 0; None of pictures.
    """

    probabilities: NDArray[np.float32]
    labels: tuple[str, ...]
    size_hw: tuple[int, int]
    attention: NDArray[np.float32] | None = None
    seen: tuple[int, int, int, int] | None = None
    frame_probabilities: NDArray[np.float32] | None = None
    places: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for array in (self.probabilities, self.attention, self.frame_probabilities, self.places):
            if array is not None:
                array.setflags(write=False)

    def __len__(self) -> int:
        """How many classes there are."""
        return len(self.labels)

    @overload
    def __getitem__(self, place: int) -> Prediction: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Prediction, ...]: ...

    def __getitem__(self, place: int | slice) -> Prediction | tuple[Prediction, ...]:
        """The class at a place, 0 is the most probable and -1 the least; of a slice a tuple of them."""
        return self.top(len(self))[place]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.top(len(self)))

    @property
    def best(self) -> Prediction:
        """The most probable class; of equal ones the first."""
        return self.top(1)[0]

    @property
    def name(self) -> str:
        """The name of the most probable class."""
        return self.best.name

    @property
    def label(self) -> int:
        """The index of the most probable class in `labels`."""
        return self.best.label

    @property
    def probability(self) -> float:
        """The probability of the most probable class, 0..1."""
        return self.best.probability

    def top(self, k: int = 5) -> tuple[Prediction, ...]:
        """The `k` most probable classes, best first, equal ones in the order of `labels`.

        All classes where there are fewer than `k`. ModelError where `k` is less than 1.
        """
        if not isinstance(k, int | np.integer) or k < 1:
            raise ModelError(f"k: {k!r} must be a whole number of 1 or more.")
        order = np.argsort(-self.probabilities, kind="stable")[:k].tolist()
        return tuple(
            Prediction(float(self.probabilities[label]), label, self.labels[label]) for label in order
        )

    @property
    def frames(self) -> "tuple[Classification, ...]":
        """What each frame shows, of models that name frames; else none."""
        rows = () if self.frame_probabilities is None else self.frame_probabilities
        return tuple(Classification(row, self.labels, self.size_hw) for row in rows)

    def to_dict(self, k: int | None = None) -> dict[str, Any]:
        """JSON-ready: size_hw, and name, label and probability (to 0.000001) of the `k` best classes; of
        models that name frames the best class of each frame too.

        None is all classes; best first.
        """
        told: dict[str, Any] = {
            "size_hw": list(self.size_hw),
            "classes": [one.to_dict() for one in self.top(len(self.labels) if k is None else k)],
        }
        if self.places is not None and self.frame_probabilities is not None:
            rows = zip(self.places.tolist(), self.frames, strict=True)
            told["frames"] = [{"frame": place, **one.best.to_dict()} for place, one in rows]
        return told

    def draw(self, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a copy of the picture, uint8 [height, width, 3] RGB, the best class in its top left corner.

        Its name and probability, or its name only where there is no room for both, or nothing.
        """
        # Drawing is not needed for the answer, so it is not loaded before it is asked for.
        from tombola.runtime.tasks.classify.draw import draw_classification

        return draw_classification(image_rgb_u8, self)
