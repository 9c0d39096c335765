"""Probes: small pictures with the answers the file gave when it was made, for `tombola verify`."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.runtime.contract.contract import Probe

PROBE_SIDE_PX = 256
_PROBE_SIZES_HW = ((96, 160), (160, 96), (33, 49))


def drawn_picture(size_hw: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
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


def probe_pictures(photos: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The pictures a file carries: `photos` (image_rgb_u8) made small, or drawn ones if there are none."""
    if not photos:
        return [drawn_picture(size_hw, seed) for seed, size_hw in enumerate(_PROBE_SIZES_HW)]
    return [_shrink(photo) for photo in photos]


def make_probe(image_rgb_u8: NDArray[np.uint8], answer: Mapping[str, NDArray[Any]]) -> Probe:
    """The picture as PNG, and the answer (output name -> array) as lists."""
    done, png = cv2.imencode(".png", cv2.cvtColor(image_rgb_u8, cv2.COLOR_RGB2BGR))
    assert done
    return Probe(png=png.tobytes(), expected={name: array.tolist() for name, array in answer.items()})


def _shrink(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = photo.shape[:2]
    factor = min(1.0, PROBE_SIDE_PX / max(height, width))
    size_wh = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.ascontiguousarray(cv2.resize(photo, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
