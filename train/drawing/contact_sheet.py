"""Many small pictures on one sheet, each with its boxes and a line of words."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.runtime.pictures.lettering import (
    Colour,
    Rect,
    Tag,
    colour_of,
    draw_tag,
    ink_on,
    printable,
    tag_size,
)

TILE_PX = 240
STRIP_PX = 22  # below each picture, for its words
GAP_PX = 6
GROUND = (246, 246, 246)


@dataclass(frozen=True)
class Tile:
    """One picture uint8 [h, w, 3] and its words; boxes_xyxy float32 [n, 4] in its pixels, with labels int64
    [n], which choose the colours, and n names."""

    image_rgb_u8: NDArray[np.uint8]
    words: str
    boxes_xyxy: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    names: tuple[str, ...] = ()


def contact_sheet(tiles: Sequence[Tile], across: int = 4) -> bytes:
    """PNG bytes: the tiles, at least one, in rows of `across`, each as large as TILE_PX allows."""
    down = -(-len(tiles) // across)
    cell_h, cell_w = TILE_PX + STRIP_PX + GAP_PX, TILE_PX + GAP_PX
    sheet = np.empty((down * cell_h + GAP_PX, min(across, len(tiles)) * cell_w + GAP_PX, 3), np.uint8)
    sheet[:] = GROUND
    for place, tile in enumerate(tiles):
        row, column = divmod(place, across)
        top, left = row * cell_h + GAP_PX, column * cell_w + GAP_PX
        _draw(tile, sheet[top : top + TILE_PX + STRIP_PX, left : left + TILE_PX])
    return cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes()


def _draw(tile: Tile, cell: NDArray[np.uint8]) -> None:
    """Draw into the cell, uint8 [TILE_PX + STRIP_PX, TILE_PX, 3] of the sheet itself."""
    height, width = tile.image_rgb_u8.shape[:2]
    share = TILE_PX / max(height, width)
    size_wh = max(1, round(width * share)), max(1, round(height * share))
    # A small picture is shown with its pixels as they are.
    how = cv2.INTER_AREA if share < 1 else cv2.INTER_NEAREST
    small = np.array(cv2.resize(tile.image_rgb_u8, size_wh, interpolation=how), np.uint8)
    scale = np.array([size_wh[0] / width, size_wh[1] / height] * 2)
    # The largest first, so that no box hides a smaller one's name.
    sides = tile.boxes_xyxy[:, 2:] - tile.boxes_xyxy[:, :2]
    for place in np.argsort(-sides.prod(axis=1), kind="stable"):
        _box(small, tile.boxes_xyxy[place] * scale, int(tile.labels[place]), tile.names[place])
    left = (TILE_PX - size_wh[0]) // 2
    cell[: size_wh[1], left : left + size_wh[0]] = small
    words = _fitting(tile.words, (TILE_PX + STRIP_PX, TILE_PX))
    _write(cell, words, left, size_wh[1] + 1, GROUND)


def _box(image_rgb_u8: NDArray[np.uint8], box_xyxy: NDArray[np.float64], label: int, name: str) -> None:
    size_hw = image_rgb_u8.shape[0], image_rgb_u8.shape[1]
    x1, y1, x2, y2 = (round(value) for value in box_xyxy.tolist())
    colour = colour_of(label)
    cv2.rectangle(image_rgb_u8, (x1 - 1, y1 - 1), (x2, y2), ink_on(colour), 1)
    cv2.rectangle(image_rgb_u8, (x1, y1), (x2 - 1, y2 - 1), colour, 2)
    text = _fitting(name, size_hw)
    text_h = tag_size(text, size_hw)[1]
    # Above a small box, which it would hide.
    _write(image_rgb_u8, text, x1, y1 if y2 - y1 > 3 * text_h else y1 - text_h, colour)


def _write(canvas: NDArray[np.uint8], text: str, x: int, y: int, ground: Colour) -> None:
    """Write a text at x, y, or as near as the canvas allows; nothing if it has no room."""
    height, width = canvas.shape[:2]
    text_w, text_h = tag_size(text, (height, width))
    if text_w <= width and text_h <= height:
        left, top = min(max(x, 0), width - text_w), min(max(y, 0), height - text_h)
        draw_tag(canvas, Tag(text, Rect(left, top, left + text_w, top + text_h)), ground)


def _fitting(text: str, size_hw: tuple[int, int]) -> str:
    """As much of the text as the width holds."""
    text = printable(text)
    while len(text) > 1 and tag_size(text, size_hw)[0] > size_hw[1]:
        text = text[:-1]
    return text
