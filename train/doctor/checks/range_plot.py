"""The picture of a learning-rate range test."""

import math

from tombola.train.doctor.checks.range_test import RangeTest
from tombola.train.drawing.figure import blank_figure, to_png
from tombola.train.loop.watch import EXPLODED


def draw_range_test(test: RangeTest, recipe_rate: float) -> bytes:
    """PNG bytes: loss over learning rate, with the suggested rate, the recipe's, and the explosion."""
    figure = blank_figure((7, 4))
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, color="tab:blue", alpha=0.3, label="loss of each step")
    axes.plot(test.rates, test.smooth_losses, color="tab:blue", linewidth=2, label="smoothed")
    if test.suggested_rate is not None:
        axes.axvline(test.suggested_rate, color="tab:green", label=f"suggested {test.suggested_rate:g}")
    axes.axvline(recipe_rate, color="tab:orange", linestyle="--", label=f"the recipe's {recipe_rate:g}")
    if test.exploded_rate is not None and math.isfinite(test.first_loss):
        is_threefold = test.limit <= EXPLODED * test.first_loss
        label = f"{EXPLODED:.0f} × the first loss" if is_threefold else "of a network that knows nothing"
        axes.axhline(test.limit, color="tab:red", linestyle=":", label=label)
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss", title="Learning-rate range test")
    if math.isfinite(test.first_loss):
        axes.set_ylim(0, 1.2 * test.limit)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    return to_png(figure, transparent=False)
