"""Planes of two latents: where pictures lie, and what is made of the places between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.train.drawing.figure import INK, blank_figure, to_png

SIDE_INCHES = 3.1
DPI = 120
FROM_MIDDLE = 2.5  # deviations to the edge of the made pictures


@dataclass(frozen=True)
class Plane:
    """codes: float [n, 2] of pictures of the classes `labels`, int64 [n]. made: uint8 [h, w, 1 or 3], those
    of the places from -2.5 to 2.5, from left to right and from the bottom to the top."""

    title: str
    codes: NDArray[np.float32]
    labels: NDArray[np.int64]
    made: NDArray[np.uint8]


def draw_planes(planes: Sequence[Plane]) -> bytes:
    """PNG bytes: a row a plane, its codes by class on the left, the made pictures on the right."""
    figure = blank_figure((2 * SIDE_INCHES + 0.3, len(planes) * (SIDE_INCHES + 0.2)), DPI)
    rows = figure.subplots(len(planes), 2, squeeze=False)
    for (points, pictures), plane in zip(rows, planes, strict=True):
        points.set_facecolor("none")
        points.scatter(*plane.codes.T, c=plane.labels, cmap="tab10", s=3, linewidths=0, alpha=0.8)
        for label in np.unique(plane.labels):
            middle = np.median(plane.codes[plane.labels == label], axis=0)
            points.annotate(
                str(label), middle, ha="center", va="center", fontsize=9, weight="bold", color="black",
                bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
            )  # fmt: skip
        made = plane.made[..., 0] if plane.made.shape[2] == 1 else plane.made
        pictures.imshow(made, cmap="gray", extent=(-FROM_MIDDLE, FROM_MIDDLE) * 2)
        for axes in (points, pictures):
            axes.set_xlim(-FROM_MIDDLE, FROM_MIDDLE)
            axes.set_ylim(-FROM_MIDDLE, FROM_MIDDLE)
            axes.set_aspect("equal")
            axes.tick_params(color=INK, labelcolor=INK, labelsize=7)
            axes.spines[:].set_color(INK)
        points.set_title(f"{plane.title}: pictures by class", color=INK, fontsize=9)
        pictures.set_title("what is made of each place", color=INK, fontsize=9)
    return to_png(figure)
