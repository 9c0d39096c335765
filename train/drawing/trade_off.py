"""The picture of a choice among models: how good each is against the time that it takes."""

from collections.abc import Sequence

from tombola.train.drawing.figure import COLOURS, INK, brief, new_axes, new_figure, to_png
from tombola.train.metrics.score import Score


def draw_trade_off(points: Sequence[tuple[str, float, float]], score: Score) -> bytes:
    """PNG bytes. points: (name, latency_ms, score), a dot each; up and to the left is better."""
    figure = new_figure()
    axes = new_axes(figure, x_label="latency p50 in ms", y_label=f"{score.name} {score.told_unit}".rstrip())
    for place, (name, latency_ms, value) in enumerate(points):
        at = (latency_ms, score.number(value))
        axes.plot(*at, marker="o", color=COLOURS[place % len(COLOURS)])
        axes.annotate(
            brief(name, 24), at, (0, 7), textcoords="offset points", ha="center", fontsize=8, color=INK
        )
    axes.set_xlim(left=0)
    axes.margins(x=0.15, y=0.25)
    return to_png(figure)
