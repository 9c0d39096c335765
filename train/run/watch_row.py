"""One layer at one look, and the table of all of them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

# ‖update‖ / ‖weight‖ is about 1e-3 in a training that goes well; the others are a hundred times off.
HEALTHY_RATIO, FAST_RATIO, SLOW_RATIO = 1e-3, 1e-1, 1e-5


@dataclass(frozen=True)
class WatchRow:
    """One layer after `step` steps, a row of watch.csv; None where a column does not apply.

    gradient_norm is ‖∂loss/∂weight‖ after clipping, update_ratio ‖change of the weight‖ / ‖weight‖ of this
    step; dead_share and saturated_share (0..1) are those of an activation layer.
    """

    step: int
    layer: str
    gradient_norm: float | None = None
    update_ratio: float | None = None
    dead_share: float | None = None
    saturated_share: float | None = None


def to_csv(rows: Sequence[WatchRow]) -> str:
    """A header and a line for each row; None is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(WatchRow)])
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()


def from_csv(text: str) -> list[WatchRow]:
    """What `to_csv` wrote; ValueError or TypeError if it is something else."""
    try:
        lines = list(csv.reader(io.StringIO(text)))[1:]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return [
        WatchRow(int(step), layer, *(float(value) if value else None for value in values))
        for step, layer, *values in lines
    ]
