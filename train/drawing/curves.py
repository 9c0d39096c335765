"""The picture of a training: losses and scores by epoch."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator

from tombola.train.drawing.figure import blank_figure, to_png
from tombola.train.metrics.score import Score


def draw_curves(rows: Sequence[Mapping[str, float]], score: Score) -> bytes:
    """PNG bytes: loss and its parts on the left, the scores on the right; rows as in metrics.csv."""
    figure = blank_figure((10, 4))
    left, right = figure.subplots(1, 2)
    parts = [key for key in rows[-1] if key.startswith("loss_")]
    for key in ["loss", *(parts if len(parts) > 1 else [])]:
        points = [(row["epoch"], row[key]) for row in rows if key in row]
        left.plot(*zip(*points, strict=True), label=key, marker=".", linewidth=2.2 if key == "loss" else 1.2)
    left.set(xlabel="epoch", ylabel="mean training loss", title="Loss")
    scores = [key for row in rows for key in row if key.startswith("valid_")]
    for key in dict.fromkeys(scores):
        points = [(row["epoch"], row[key]) for row in rows if key in row]
        main = key == score.key
        right.plot(*zip(*points, strict=True), label=key, marker=".", linewidth=2.2 if main else 1.2)
    right.set(
        xlabel="epoch",
        ylabel="on the validation pictures",
        title="Validation" if scores else "No validation pictures",
    )
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if axes.lines:
            axes.legend(fontsize="small")
    return to_png(figure, transparent=False)
