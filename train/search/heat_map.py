"""The picture of a search: a curve over one axis, a heat map over two."""

import io
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tombola.train.search.axis import Axis
from tombola.train.search.outcome import Outcome


def draw_search(axes: Sequence[Axis], outcomes: Sequence[Outcome], score_name: str) -> bytes:
    """PNG bytes. Of more than two axes the first two are drawn, each cell with the best over the others.

    Scores are shares, shown as percentages; a cell without one says what became of its points.
    """
    down, across = axes[0], axes[1] if len(axes) > 1 else None
    columns = len(across.values) if across else len(down.values)
    size = (3 + 0.8 * columns, 4 if across is None else 2.2 + 0.5 * len(down.values))
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    drawing = figure.subplots()
    if across is None:
        _draw_curve(drawing, down, outcomes, score_name)
    else:
        _draw_cells(figure, drawing, down, across, outcomes, score_name)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _draw_curve(drawing: Axes, axis: Axis, outcomes: Sequence[Outcome], score_name: str) -> None:
    heights = [_percent(_best(outcomes, f"{axis.key}={value}")) for value in axis.values]
    drawing.plot(range(len(heights)), heights, marker="o")
    drawing.set_xticks(range(len(heights)), axis.values)
    drawing.set(xlabel=axis.key, ylabel=f"best {score_name}, %", title=f"{score_name} by {axis.name}")
    drawing.grid(visible=True, alpha=0.3)


def _draw_cells(
    figure: Figure, drawing: Axes, down: Axis, across: Axis, outcomes: Sequence[Outcome], score_name: str
) -> None:
    cells = [
        [_best(outcomes, f"{down.key}={row}", f"{across.key}={column}") for column in across.values]
        for row in down.values
    ]
    scores = [[_percent(cell) for cell in row] for row in cells]
    # Grey lies under the cells that have no score.
    drawing.set_facecolor("0.85")
    image = drawing.imshow(scores, aspect="auto", cmap="viridis")
    known = [score for row in scores for score in row if not math.isnan(score)]
    middle = (min(known) + max(known)) / 2 if known else 0.0
    for y, row in enumerate(cells):
        for x, cell in enumerate(row):
            score = scores[y][x]
            text = cell.state if math.isnan(score) else f"{score:.1f}"
            colour = "white" if score <= middle else "black"
            drawing.text(x, y, text, ha="center", va="center", fontsize="small", color=colour)
    drawing.set_xticks(range(len(across.values)), across.values)
    drawing.set_yticks(range(len(down.values)), down.values)
    drawing.set(xlabel=across.key, ylabel=down.key, title=f"best {score_name}, %")
    if known:
        figure.colorbar(image)


def _best(outcomes: Sequence[Outcome], *values: str) -> Outcome:
    """The best outcome of the points that have these values, given as KEY=VALUE."""
    here = [outcome for outcome in outcomes if set(values) <= set(outcome.point.overrides)]
    return max(here, key=lambda outcome: -math.inf if outcome.score is None else outcome.score)


def _percent(outcome: Outcome) -> float:
    return math.nan if outcome.score is None else 100 * outcome.score
