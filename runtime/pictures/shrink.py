"""How a large picture becomes smaller, everywhere: exact halvings, until one bilinear step is left.

A halving is the mean of 2 × 2 pixels, half rounded up; an odd last row or column is left out. Training,
evaluation and the runtime halve here, and an exported graph does the same arithmetic by itself, so that the
network meets the same pixels on every way. A halved picture is the picture: what is found in it is told in
its pixels, and n halvings make 2**n pixels of a side one.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Sides = Literal["longer", "both"]


@dataclass(frozen=True)
class Shrink:
    """What a network asks of a picture: to be halved while it is at least twice as large as `wanted_hw`.

    sides: what must be twice as large: the "longer" side, where the picture is to fit into `wanted_hw`; or
    "both", where it is to fill it.
    """

    wanted_hw: tuple[int, int]
    sides: Sides

    def halvings(self, size_hw: tuple[int, int]) -> int:
        """How often a picture of `size_hw` pixels is halved; no side falls below 1."""
        (height, width), count = size_hw, 0
        while self._is_twice(height, width):
            height, width, count = height // 2, width // 2, count + 1
        return count

    def _is_twice(self, height: int, width: int) -> bool:
        if self.sides == "longer":
            return max(height, width) >= 2 * max(self.wanted_hw) and min(height, width) >= 2
        return height >= 2 * self.wanted_hw[0] and width >= 2 * self.wanted_hw[1]


def halve(image_rgb_u8: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Return the picture uint8 [h, w, 3] halved `count` times: [h >> count, w >> count, 3]; itself for 0."""
    if count:
        import cv2  # here, because it takes its time to load
    for _ in range(count):
        height, width = image_rgb_u8.shape[0] // 2, image_rgb_u8.shape[1] // 2
        even = image_rgb_u8[: 2 * height, : 2 * width]
        # At exactly half, OpenCV's area is (a + b + c + d + 2) >> 2.
        image_rgb_u8 = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return image_rgb_u8
