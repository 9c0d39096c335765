"""The picture of a ticket search: the score against the weights that are left."""

from collections.abc import Sequence

from matplotlib.ticker import NullFormatter, PercentFormatter

from tombola.train.drawing.figure import INK, new_axes, new_figure, to_png
from tombola.train.metrics.score import Score


def draw_tickets(points: Sequence[tuple[float, float, float]], dense_score: float, score: Score) -> bytes:
    """PNG bytes. points: (share of weights left, score as cut, score trained again), a point a round."""
    left = [1.0, *(point[0] for point in points)]
    as_cut = [score.number(point[1]) for point in points]
    dense = score.number(dense_score)
    trained = [dense, *(score.number(point[2]) for point in points)]
    figure = new_figure()
    axes = new_axes(figure, x_label="weights left", y_label=f"{score.name} {score.told_unit}".rstrip())
    axes.plot(left, trained, marker="o", label="trained again")
    axes.plot(left[1:], as_cut, marker="x", linestyle=":", label="as cut")
    axes.axhline(dense, linestyle="--", linewidth=0.8, color=INK, label="dense")
    axes.set_xscale("log")
    axes.set_xticks(left)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None if min(left) > 0.05 else 1))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelrotation=45)
    axes.invert_xaxis()
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    return to_png(figure)
