"""A caption on a picture or under it, or under the frames of a clip; and where each of its words looked."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.pictures.lettering import BLACK, Rect, Tag, draw_tag, printable, tag_size
from tombola.runtime.tasks.caption.answer import Captions

# A sheet of heat maps: so wide is a picture on it, so many stand in a row.
TILE_PX = 224
TILES_ACROSS = 4
FRAME_PX = 112  # so wide is each frame of a clip, at least
GROUND = 255
DIM = 0.25  # what is left of the light where a word did not look


def draw_captions(image_rgb_u8: NDArray[np.uint8], captions: Captions) -> NDArray[np.uint8]:
    """Return a copy of the picture, uint8 [height, width, 3] RGB, with the best caption at its lower edge.

    PictureError where it is no such picture.
    """
    _check(image_rgb_u8)
    canvas = np.array(image_rgb_u8, order="C")
    height, width = canvas.shape[:2]
    lines = _lines(captions.text, (height, width))
    line_height = tag_size("", (height, width))[1]
    lines = lines[: height // line_height]
    _write(canvas, lines, height - len(lines) * line_height, (height, width))
    return canvas


def with_caption_below(image_rgb_u8: NDArray[np.uint8], captions: Captions) -> NDArray[np.uint8]:
    """The picture and, on a strip under it, the best caption: uint8 [height + strip, width, 3]."""
    _check(image_rgb_u8)
    height, width = image_rgb_u8.shape[:2]
    lines = _lines(captions.text, (height, width))
    line_height = tag_size("", (height, width))[1]
    canvas = np.zeros((height + len(lines) * line_height, width, 3), np.uint8)
    canvas[:height] = image_rgb_u8
    for place, line in enumerate(lines):
        # The letters are as large as suits the picture without its strip.
        strip = np.zeros((max(height, line_height), width, 3), np.uint8)
        _write(strip, [line], 0, (height, width))
        top = height + place * line_height
        canvas[top : top + line_height] = strip[:line_height]
    return canvas


def enlarge_film(film_rgb_u8: NDArray[np.uint8], n_frames: int) -> NDArray[np.uint8]:
    """Frames of a clip beside each other, uint8 [h, n · w, 3], each pixel as large a square as a legible
    caption needs."""
    height, width = film_rgb_u8.shape[:2]
    factor = -(-FRAME_PX * n_frames // width)
    size_wh = (factor * width, factor * height)
    return np.asarray(cv2.resize(film_rgb_u8, size_wh, interpolation=cv2.INTER_NEAREST), np.uint8)


def film_sheet(film_rgb_u8: NDArray[np.uint8], captions: Captions) -> NDArray[np.uint8]:
    """Frames of a clip beside each other, and under them again for each word of the best caption, brighter
    the more it looked at a frame: uint8 [h, w, 3]. film_rgb_u8: uint8 [h, n · w, 3]; attention has n rows."""
    _check(film_rgb_u8)
    n_frames = captions.attention.shape[1]
    height, width = film_rgb_u8.shape[:2]
    film_wh = (FRAME_PX * n_frames, max(1, round(FRAME_PX * n_frames * height / width)))
    film = np.asarray(cv2.resize(film_rgb_u8, film_wh, interpolation=cv2.INTER_AREA), np.uint8)
    size_hw = (TILE_PX, film_wh[0])
    strip = tag_size("", size_hw)[1]
    rows = [film]
    for word, weights in zip(captions.best.words, captions.attention[..., 0], strict=True):
        share = np.repeat(DIM + (1 - DIM) * weights / max(float(weights.max()), 1e-9), FRAME_PX)
        lettered = np.full((*size_hw, 3), GROUND, np.uint8)
        _write(lettered, _lines(word, size_hw)[:1], 0, size_hw)
        rows += [lettered[:strip], np.asarray(np.rint(film * share[:, None]), np.uint8)]
    return np.concatenate(rows)


def attention_sheet(image_rgb_u8: NDArray[np.uint8], captions: Captions) -> NDArray[np.uint8]:
    """The picture once for each word of the best caption, brighter where the word looked: uint8 [h, w, 3].

    Each heat map is as bright as its own strongest cell. The first picture is as it is.
    """
    _check(image_rgb_u8)
    height, width = image_rgb_u8.shape[:2]
    tile_wh = (TILE_PX, max(1, round(TILE_PX * height / width)))
    small = cv2.resize(image_rgb_u8, tile_wh, interpolation=cv2.INTER_AREA)
    tiles = [(small, "")]
    for word, weights in zip(captions.best.words, captions.attention, strict=False):
        heat = cv2.resize(weights / max(float(weights.max()), 1e-9), tile_wh, interpolation=cv2.INTER_CUBIC)
        share = DIM + (1 - DIM) * np.clip(heat, 0, 1)[..., None]
        tiles.append((np.asarray(np.rint(small * share), np.uint8), word))
    size_hw = (TILE_PX, TILE_PX)
    strip = tag_size("", size_hw)[1]
    down = -(-len(tiles) // TILES_ACROSS)
    cell_hw = (tile_wh[1] + strip, TILE_PX)
    sheet = np.full((down * cell_hw[0], min(len(tiles), TILES_ACROSS) * cell_hw[1], 3), GROUND, np.uint8)
    for place, (tile, word) in enumerate(tiles):
        row, column = divmod(place, TILES_ACROSS)
        cell = sheet[row * cell_hw[0] : (row + 1) * cell_hw[0], column * cell_hw[1] :][:, : cell_hw[1]]
        cell[: tile_wh[1]] = tile
        lettered = np.full((*size_hw, 3), GROUND, np.uint8)
        _write(lettered, _lines(word, size_hw)[:1], 0, size_hw)
        cell[tile_wh[1] :] = lettered[:strip]
    return sheet


def _check(image_rgb_u8: NDArray[np.uint8]) -> None:
    if image_rgb_u8.ndim != 3 or image_rgb_u8.shape[2] != 3 or image_rgb_u8.dtype != np.uint8:
        raise PictureError(
            "a picture to draw on must be uint8 [height, width, 3], "
            f"but is {image_rgb_u8.dtype} {list(image_rgb_u8.shape)}."
        )


def _lines(text: str, size_hw: tuple[int, int]) -> list[str]:
    """The text in lines that are no wider than the picture; what is wider than a line is left out."""
    lines: list[str] = []
    for word in printable(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and tag_size(longer, size_hw)[0] <= size_hw[1]:
            lines[-1] = longer
        elif tag_size(word, size_hw)[0] <= size_hw[1]:
            lines.append(word)
    return lines


def _write(canvas: NDArray[np.uint8], lines: list[str], top: int, size_hw: tuple[int, int]) -> None:
    for line in lines:
        width, height = tag_size(line, size_hw)
        draw_tag(canvas, Tag(line, Rect(0, top, width, top + height)), BLACK)
        top += height
