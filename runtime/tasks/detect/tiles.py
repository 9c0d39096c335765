"""A picture looked at piece by piece, so that small things are seen as large as the network needs them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.tasks.detect.answer import Detections

OVERLAP = 0.5  # of a tile's side: what is smaller lies whole in some tile
PANORAMA = 2.5  # times as long as high, or more


@dataclass(frozen=True)
class _Tile:
    left: int
    top: int
    width: int
    height: int


def detect_in_tiles(
    detect: Callable[[NDArray[np.uint8]], Detections],
    image_rgb_u8: NDArray[np.uint8],
    *,
    input_px: int,
    iou_threshold: float,
) -> Detections:
    """Detect in the whole picture, uint8 [height, width, 3] RGB, and in overlapping square tiles; merge both.

    A tile is as high as a panorama, of other pictures half the shorter side, and never less than `input_px`,
    the side of what the network sees. Boxes are in pixels of the whole picture, best first.
    iou_threshold: of boxes of a class that overlap more, the better stays. What a tile's edge cuts off stays
    only where nothing better covers it.
    """
    height, width = image_rgb_u8.shape[:2]
    tiles = list(_tiles(height, width, input_px))
    found = [detect(image_rgb_u8)]
    is_cut = [np.zeros(len(found[0]), bool)]
    boxes = [found[0].boxes_xyxy]
    for tile in tiles:
        pixels = image_rgb_u8[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        seen = detect(np.ascontiguousarray(pixels))
        found.append(seen)
        is_cut.append(_cut_by_edge(seen.boxes_xyxy, tile, height, width))
        boxes.append(seen.boxes_xyxy + np.array([tile.left, tile.top] * 2, np.float32))
    boxes_xyxy = np.concatenate(boxes)
    scores = np.concatenate([one.scores for one in found])
    labels = np.concatenate([one.labels for one in found])
    names = [name for one in found for name in one.names]
    kept = _merge(boxes_xyxy, scores, labels, np.concatenate(is_cut), iou_threshold)
    return Detections(
        boxes_xyxy[kept], scores[kept], labels[kept], tuple(names[place] for place in kept), (height, width)
    )


def is_too_wide(size_hw: tuple[int, int], input_px: int) -> bool:
    """Whether a picture is a panorama whose things shrink to less than half before the network sees them."""
    short, long = sorted(size_hw)
    return long >= PANORAMA * short and long > 2 * input_px


def _tiles(height: int, width: int, input_px: int) -> Iterator[_Tile]:
    short, long = min(height, width), max(height, width)
    side = max(input_px, short if long >= PANORAMA * short else -(-short // 2))
    tile_height, tile_width = min(side, height), min(side, width)
    if (tile_height, tile_width) == (height, width):
        return
    for top in _starts(height, tile_height):
        for left in _starts(width, tile_width):
            yield _Tile(left, top, tile_width, tile_height)


def _starts(whole: int, part: int) -> list[int]:
    """Where parts begin that cover the whole evenly and overlap by OVERLAP or more."""
    count = 1 + int(np.ceil((whole - part) / (part * (1 - OVERLAP))))
    return [round(start) for start in np.linspace(0, whole - part, count)]


def _cut_by_edge(boxes_xyxy: NDArray[np.float32], tile: _Tile, height: int, width: int) -> NDArray[np.bool_]:
    """Which boxes of a tile touch an edge of it that is none of the picture."""
    near_px = max(2.0, 0.02 * max(tile.width, tile.height))
    left, top, right, bottom = boxes_xyxy.T
    return np.asarray(
        ((left < near_px) & (tile.left > 0))
        | ((top < near_px) & (tile.top > 0))
        | ((right > tile.width - near_px) & (tile.left + tile.width < width))
        | ((bottom > tile.height - near_px) & (tile.top + tile.height < height))
    )


def _merge(
    boxes_xyxy: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    is_cut: NDArray[np.bool_],
    iou_threshold: float,
) -> NDArray[np.int64]:
    """Places of the boxes that stay, best first: whole ones by NMS, then cut ones that are new, of equal ones
    the larger."""
    areas = np.prod(np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0), axis=1)
    kept: list[int] = []
    for place in np.lexsort((-areas, -scores, is_cut)).tolist():
        rivals = np.array([one for one in kept if labels[one] == labels[place]], np.int64)
        corner = np.maximum(boxes_xyxy[rivals, :2], boxes_xyxy[place, :2])
        far = np.minimum(boxes_xyxy[rivals, 2:], boxes_xyxy[place, 2:])
        shared = np.prod(np.maximum(far - corner, 0), axis=1)
        if is_cut[place]:
            is_new = bool((shared <= 0.5 * areas[place]).all())
        else:
            is_new = bool((shared <= iou_threshold * (areas[rivals] + areas[place] - shared)).all())
        if is_new:
            kept.append(place)
    return np.array(sorted(kept, key=lambda place: -scores[place]), np.int64)
