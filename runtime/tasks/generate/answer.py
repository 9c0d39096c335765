"""What a generator makes: pictures with the latents and labels that they were made of."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.pictures.output import save_picture

MOST_SHEET_PIXELS = 100_000_000
GROUND = 24  # level of what is left over of a sheet, apart from black pictures
GAP_PX = 2


@dataclass(frozen=True, eq=False)
class Generated:
    """Pictures that were made. The arrays are read-only.

    images_u8: uint8 [n, height, width, 1 or 3], grey or RGB.
    latents:   float32 [n, latent_size] that they were made of: `Generator.decode` gives the same again.
    names:     the name of each one's class; None where the model knows none.
    """

    images_u8: NDArray[np.uint8]
    latents: NDArray[np.float32]
    names: tuple[str, ...] | None

    def __post_init__(self) -> None:
        self.images_u8.setflags(write=False)
        self.latents.setflags(write=False)

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.images_u8)

    def __getitem__(self, place: int) -> NDArray[np.uint8]:
        """One picture, uint8 [height, width, 3] RGB."""
        return as_rgb(self.images_u8[place])

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[place] for place in range(len(self)))

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of each picture, in pixels."""
        return self.images_u8.shape[1], self.images_u8.shape[2]

    def draw(self, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture of the same size, uint8 [height, width, 3] RGB: in its left half the one given, in its
        right half the first that was made, each as large as it fits."""
        height, width = image_rgb_u8.shape[:2]
        canvas = np.zeros((height, width, 3), np.uint8)
        for left, shown in ((0, image_rgb_u8), (width // 2, self[0])):
            share = min(height / shown.shape[0], (width // 2) / shown.shape[1])
            size_wh = max(1, int(shown.shape[1] * share)), max(1, int(shown.shape[0] * share))
            # A small picture is shown with its pixels as they are.
            how = cv2.INTER_AREA if share < 1 else cv2.INTER_NEAREST
            top, edge = (height - size_wh[1]) // 2, left + (width // 2 - size_wh[0]) // 2
            canvas[top : top + size_wh[1], edge : edge + size_wh[0]] = cv2.resize(
                shown, size_wh, interpolation=how
            )
        return canvas

    def sheet(self, across: int | None = None) -> NDArray[np.uint8]:
        """All pictures on one, uint8 [h, w, 3] RGB, in rows of `across`, about a square by default.

        ModelError where there is none, or they would make more than 100 million pixels.
        """
        across, down = sheet_cells(len(self), self.size_hw, across)
        height, width = (side + GAP_PX for side in self.size_hw)
        sheet = np.full((down * height + GAP_PX, across * width + GAP_PX, 3), GROUND, np.uint8)
        for place, image_rgb_u8 in enumerate(self):
            row, column = divmod(place, across)
            top, left = GAP_PX + row * height, GAP_PX + column * width
            sheet[top : top + self.size_hw[0], left : left + self.size_hw[1]] = image_rgb_u8
        return sheet

    def save(self, path: str | os.PathLike[str], across: int | None = None) -> Path:
        """Write the sheet as .png, .jpg, .webp or .bmp; OutputError where that cannot be done."""
        return save_picture(self.sheet(across), path)

    def facts(self, place: int) -> dict[str, Any]:
        """Of one picture, JSON-ready: its class if it has one, and its latents."""
        named = {"name": self.names[place]} if self.names else {}
        return {**named, "latents": self.latents[place].tolist()}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: size_hw, and the facts of each picture."""
        return {
            "size_hw": list(self.size_hw),
            "pictures": [self.facts(place) for place in range(len(self))],
        }


def sheet_cells(count: int, size_hw: tuple[int, int], across: int | None = None) -> tuple[int, int]:
    """How many of `count` pictures of that size lie beside and below each other on a sheet; ModelError where
    it would be too large."""
    if count < 1 or (across is not None and across < 1):
        raise ModelError(f"{count} pictures in rows of {across} make no sheet; give numbers of 1 or more.")
    across = min(count, max(1, round(count**0.5)) if across is None else across)
    down = -(-count // across)
    height, width = (side + GAP_PX for side in size_hw)
    if across * width * down * height > MOST_SHEET_PIXELS:
        raise ModelError(
            f"{count} pictures make a sheet of {across * width}×{down * height} pixels, more than "
            "100 million; make fewer, or write each to a file of its own."
        )
    return across, down


def as_rgb(image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [h, w, 1 or 3] -> [h, w, 3]."""
    return np.ascontiguousarray(np.broadcast_to(image_u8, (*image_u8.shape[:2], 3)))
