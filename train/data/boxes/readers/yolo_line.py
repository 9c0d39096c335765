"""One line of a YOLO label file: a class, then a box, a polygon, or a box and its key points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.train.data.text import number, quoted, whole

# A key point that is not labelled is at 0, 0; annotation tools round.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Line:
    """label: the class's number. box: x1 y1 x2 y2 as shares of the picture.
    points: None for a box; of a polygon, how many key points its numbers may be instead, 0 if they cannot.
    """

    label: int
    box: NDArray[np.float64]
    points: int | None = None


def parse_line(text: str, kpt_shape: tuple[int, int] | None) -> Line:
    """Read class, centre x, centre y, width, height; or class and corners x y; or, where `kpt_shape` (points,
    numbers each) or visibility flags say so, class, box and key points. ValueError says what is wrong."""
    first, *rest = text.split()
    try:
        label = whole(first)
    except ValueError as error:
        raise ValueError(f"class {error}") from None
    try:
        values = np.array([number(word) for word in rest], np.float64)
    except ValueError as error:
        raise ValueError(f"it is not all numbers: {error}") from None
    if len(values) == 4:
        return Line(label, _box(values))
    if kpt_shape is not None:
        if len(values) != 4 + kpt_shape[0] * kpt_shape[1]:
            raise ValueError(
                f"it has {len(values)} numbers after the class, but kpt_shape is {list(kpt_shape)}"
            )
        return Line(label, _box(values))
    if len(values) > 6 and (len(values) - 4) % 3 == 0 and _may_be_points(values, 3):
        return Line(label, _box(values))
    if len(values) >= 6 and len(values) % 2 == 0:
        corners = values.reshape(-1, 2)
        points = len(corners) - 2 if _may_be_points(values, 2) else 0
        return Line(label, np.concatenate([corners.min(axis=0), corners.max(axis=0)]), points)
    raise ValueError(f"{quoted(text.strip())} has {len(values)} numbers after the class, not 4")


def _box(values: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, width, height = values[:4]
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def _may_be_points(values: NDArray[np.float64], each: int) -> bool:
    """Whether the first four numbers are a box inside of the picture and the rest points inside of the box,
    with flags 0, 1 or 2 if there are three numbers each."""
    x1, y1, x2, y2 = _box(values)
    points = values[4:].reshape(-1, each)
    if each == 3 and not np.isin(points[:, 2], (0, 1, 2)).all():
        return False
    points = points[(points[:, :2] != 0).any(axis=1)]
    inside = (points[:, :2] >= (x1 - TOLERANCE, y1 - TOLERANCE)).all() and (
        points[:, :2] <= (x2 + TOLERANCE, y2 + TOLERANCE)
    ).all()
    is_box = min(x1, y1) >= -TOLERANCE and max(x2, y2) <= 1 + TOLERANCE and x2 > x1 and y2 > y1
    return bool(inside and is_box)
