"""Contact sheets: what is on them and where, and the tasks that fill them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.runtime.pictures.lettering import colour_of
from tombola.train.drawing.contact_sheet import GAP_PX, GROUND, STRIP_PX, TILE_PX, Tile, contact_sheet
from tombola.train.tasks.table import open_task
from tombola.train.tasks.task import ShownTask, evenly


def sheet(tiles: list[Tile], across: int = 4) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(contact_sheet(tiles, across), np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)


def plain(height: int, width: int, colour: tuple[int, int, int] = (10, 20, 30)) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def test_tiles_lie_in_rows() -> None:
    tiles = [Tile(plain(50, 50, (index, 200, 0)), "") for index in range(5)]
    image = sheet(tiles, across=3)
    assert image.shape == (2 * (TILE_PX + STRIP_PX + GAP_PX) + GAP_PX, 3 * (TILE_PX + GAP_PX) + GAP_PX, 3)
    middles = [
        image[row * (TILE_PX + STRIP_PX + GAP_PX) + GAP_PX + 120, column * (TILE_PX + GAP_PX) + GAP_PX + 120]
        for row in range(2)
        for column in range(3)
    ]
    assert [tuple(one) for one in middles] == [*((index, 200, 0) for index in range(5)), GROUND]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 900), (900, 1), (30, 60), (700, 500)])
def test_a_picture_of_any_shape_keeps_its_own(height: int, width: int) -> None:
    image = sheet([Tile(plain(height, width), "")])
    rows, columns = np.nonzero((image == (10, 20, 30)).all(axis=2))
    size_hw = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    share = TILE_PX / max(height, width)
    assert size_hw == (max(1, round(height * share)), max(1, round(width * share)))


def test_boxes_are_where_they_belong() -> None:
    # Of 480 × 240 px at half its size: x 100 … 200 and y 40 … 80 in the tile, below the gap.
    box = np.array([[200, 80, 400, 160]], np.float32)
    image = sheet([Tile(plain(240, 480), "photo", box, np.array([4]), ("cat",))])
    found = (image[:TILE_PX] == colour_of(4)).all(axis=2)
    rows, columns = np.nonzero(found)
    assert abs(columns.min() - (100 + GAP_PX)) <= 2
    assert abs(columns.max() - (200 + GAP_PX)) <= 2
    assert abs(rows.max() - (80 + GAP_PX)) <= 2
    assert image[60 + GAP_PX, 180 + GAP_PX].tolist() == [10, 20, 30]  # not filled


def test_words_of_any_length_and_letters_fit() -> None:
    box = np.array([[0, 0, 10, 10]], np.float32)
    for words in ("", "a" * 500, "日本語", "naïve €"):
        image = sheet([Tile(plain(20, 20), words, box, np.array([25]), (words,))])
        assert image.shape[:2] == (TILE_PX + STRIP_PX + 2 * GAP_PX, TILE_PX + 2 * GAP_PX)
        strip = image[GAP_PX + TILE_PX :, :]
        assert (strip != GROUND).any() == bool(words)


def test_items_are_evenly_spread() -> None:
    assert evenly(range(10), 5) == [0, 2, 4, 6, 8]
    assert evenly(range(3), 5) == [0, 1, 2]
    assert evenly([], 5) == []


def test_a_detector_shows_the_same_pictures_twice(toy_recipe: Path) -> None:
    task = open_task(toy_recipe)
    assert isinstance(task, ShownTask)
    before, after = task.shown(3)
    assert [one.words for one in before] == [one.words for one in after]
    assert len({one.words for one in before}) == 3
    for tile in before:
        assert tile.image_rgb_u8.shape == (48, 64, 3)
        assert set(tile.names) == {"red", "blue"}
        # Blue is painted last, so all of its rectangle is to be seen.
        x1, y1, x2, y2 = tile.boxes_xyxy[tile.names.index("blue")].round().astype(int)
        assert (tile.image_rgb_u8[y1:y2, x1:x2] == (30, 60, 220)).all()
    for tile in after:
        assert tile.image_rgb_u8.shape == (64, 64, 3)
        assert tile.boxes_xyxy.min() >= 0
        assert tile.boxes_xyxy.max() <= 64
    again = task.shown(3)[1]
    for one, other in zip(after, again, strict=True):
        np.testing.assert_array_equal(one.image_rgb_u8, other.image_rgb_u8)


def test_a_classifier_shows_its_classes(digits_recipe: Path) -> None:
    task = open_task(digits_recipe, ["augment.translate=0.2"])
    assert isinstance(task, ShownTask)
    before, after = task.shown(6)
    assert [one.words for one in before] == [one.words for one in after]
    assert len({one.image_rgb_u8.tobytes() for one in (*before, *after)}) == 12
    assert all(one.image_rgb_u8.shape == (28, 28, 3) and len(one.boxes_xyxy) == 0 for one in before)
