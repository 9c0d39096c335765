"""What a network is asked before it is written, and what its file carries to be asked again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.runtime.tasks.difference import Arrays

Photo = NDArray[np.uint8]
Options = Mapping[str, float | int]

PROBE_SIDE_PX = 192
_PROBE_SIZES_HW = ((96, 160), (160, 96), (33, 49))
SIZES_HW = (
    (64, 64),
    (240, 322),
    (321, 173),
    (1080, 1920),
    (2160, 3840),
    (37, 501),
    (17, 33),
    (1, 1),
)


@dataclass(frozen=True)
class Question:
    """Required inputs by name, and what to call them: "drawn", "photo"."""

    name: str
    feeds: Arrays

    @property
    def _is_seen(self) -> bool:
        return "image" in self.feeds or "frames" in self.feeds

    @property
    def size_hw(self) -> tuple[int, ...]:
        """Height and width of the picture, or the frames; of a task without, the sides of the first input."""
        if self._is_seen:
            height, width = (self.feeds["image"] if "image" in self.feeds else self.feeds["frames"][0]).shape[
                :2
            ]
            return height, width
        return next(iter(self.feeds.values())).shape

    def __str__(self) -> str:
        unit = " px" if self._is_seen else ""
        return f"the {self.name} {'picture' if unit else 'input'} of {size_text(self.size_hw)}{unit}"


def size_text(size_hw: Sequence[int]) -> str:
    """64x48 for (48, 64)."""
    return "x".join(str(side) for side in reversed(size_hw)) or "1"


class Asking(Protocol):
    """What the networks of one task are asked.

    breaks_ties: whether an answer holds choices, such as which box comes first, that rounding can tip.
    share: of what the yardstick allows another processor, the part that is allowed between file and PyTorch.
    """

    breaks_ties: bool
    share: float

    def questions(self, photos: Sequence[Photo], sizes_hw: Sequence[tuple[int, int]]) -> Sequence[Question]:
        """What parity is checked on: at `sizes_hw` beyond those of every file, and `photos`."""

    def options(self, defaults: Options) -> Sequence[Options]:
        """What the optional inputs are at each look at a question."""

    def probes(self, photos: Sequence[Photo]) -> Sequence[Question]:
        """The small questions that a file carries."""

    def probe_options(self) -> Sequence[Options]:
        """The optional inputs of a probe, such that an answer has many things to compare; fewer from one to
        the next, for networks whose answer hangs on a hair."""


class PictureAsking:
    """What a task is asked that takes one picture and has no options."""

    breaks_ties = False
    share = 0.1

    def questions(self, photos: Sequence[Photo], sizes_hw: Sequence[tuple[int, int]]) -> Sequence[Question]:
        pictures = [
            *(("drawn", drawn_picture(size_hw)) for size_hw in dict.fromkeys((*SIZES_HW, *sizes_hw))),
            *(("photo", np.ascontiguousarray(photo)) for photo in photos),
            ("blank", np.full((120, 160, 3), 127, np.uint8)),
        ]
        return [Question(name, {"image": image}) for name, image in pictures]

    def options(self, defaults: Options) -> Sequence[Options]:
        return (defaults,)

    def probes(self, photos: Sequence[Photo]) -> Sequence[Question]:
        """`photos` made small, or drawn ones if there are none."""
        drawn = [drawn_picture(size_hw, seed) for seed, size_hw in enumerate(_PROBE_SIZES_HW)]
        return [Question("probe", {"image": image}) for image in ([*map(_shrink, photos)] or drawn)]

    def probe_options(self) -> Sequence[Options]:
        return ({},)


def drawn_picture(size_hw: tuple[int, int], seed: int = 0) -> Photo:
    """Coloured ellipses and boxes on a soft background: image_rgb_u8 [h, w, 3], the same for a seed."""
    height, width = size_hw
    rng = np.random.default_rng([seed, height, width])
    # Drawn at a size of its own, so that a frame of 4K costs no more than a thumbnail.
    scale = 512 / max(height, width)
    h, w = max(2, round(height * scale)), max(2, round(width * scale))
    canvas = cv2.resize(
        rng.integers(40, 216, (4, 6, 3), dtype=np.uint8), (w, h), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(8):
        centre = (int(rng.integers(0, w)), int(rng.integers(0, h)))
        axes = (int(rng.integers(4, 120)), int(rng.integers(4, 120)))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        if rng.random() < 0.5:
            cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            corner = (centre[0] + axes[0], centre[1] + axes[1])
            cv2.rectangle(canvas, centre, corner, colour, -1)
    return np.ascontiguousarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _shrink(photo: Photo) -> Photo:
    height, width = photo.shape[:2]
    factor = min(1.0, PROBE_SIDE_PX / max(height, width))
    size_wh = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.ascontiguousarray(cv2.resize(photo, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
