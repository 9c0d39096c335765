"""The picture of a search: a curve over one axis, a heat map over two."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tombola.train.drawing.figure import blank_figure, to_png
from tombola.train.metrics.score import Score
from tombola.train.search.axis import Axis
from tombola.train.search.outcome import Outcome, ranked


def draw_search(axes: Sequence[Axis], outcomes: Sequence[Outcome], score: Score) -> bytes:
    """PNG bytes. Of more than two axes the first two are drawn, each cell with the best over the others; a
    cell without a score says what became of its points.
    """
    down, across = axes[0], axes[1] if len(axes) > 1 else None
    columns = len(across.values) if across else len(down.values)
    size = (3 + 0.8 * columns, 4 if across is None else 2.2 + 0.5 * len(down.values))
    figure = blank_figure(size)
    drawing = figure.subplots()
    if across is None:
        _draw_curve(drawing, down, outcomes, score)
    else:
        _draw_cells(figure, drawing, down, across, outcomes, score)
    return to_png(figure, transparent=False)


def _draw_curve(drawing: Axes, axis: Axis, outcomes: Sequence[Outcome], score: Score) -> None:
    heights = [_number(_best(outcomes, score, f"{axis.key}={value}"), score) for value in axis.values]
    drawing.plot(range(len(heights)), heights, marker="o")
    drawing.set_xticks(range(len(heights)), axis.values)
    drawing.set(xlabel=axis.key, ylabel=_best_words(score), title=f"{score.name} by {axis.name}")
    drawing.grid(visible=True, alpha=0.3)


def _draw_cells(
    figure: Figure, drawing: Axes, down: Axis, across: Axis, outcomes: Sequence[Outcome], score: Score
) -> None:
    cells = [
        [_best(outcomes, score, f"{down.key}={row}", f"{across.key}={column}") for column in across.values]
        for row in down.values
    ]
    numbers = [[_number(cell, score) for cell in row] for row in cells]
    # Grey lies under the cells that have no score.
    drawing.set_facecolor("0.85")
    image = drawing.imshow(numbers, aspect="auto", cmap="viridis")
    known = [number for row in numbers for number in row if not math.isnan(number)]
    middle = (min(known) + max(known)) / 2 if known else 0.0
    for y, row in enumerate(cells):
        for x, cell in enumerate(row):
            number = numbers[y][x]
            text = cell.state if math.isnan(number) else f"{number:.3g}"
            colour = "white" if number <= middle else "black"
            drawing.text(x, y, text, ha="center", va="center", fontsize="small", color=colour)
    drawing.set_xticks(range(len(across.values)), across.values)
    drawing.set_yticks(range(len(down.values)), down.values)
    drawing.set(xlabel=across.key, ylabel=down.key, title=_best_words(score))
    if known:
        figure.colorbar(image)


def _best(outcomes: Sequence[Outcome], score: Score, *values: str) -> Outcome:
    """The best outcome of the points that have these values, given as KEY=VALUE."""
    here = [outcome for outcome in outcomes if set(values) <= set(outcome.point.overrides)]
    return ranked(here, score)[0]


def _number(outcome: Outcome, score: Score) -> float:
    return math.nan if outcome.score is None else score.number(outcome.score)


def _best_words(score: Score) -> str:
    return f"best {score.name}, {score.told_unit}".removesuffix(", ")
