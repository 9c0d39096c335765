"""Lines of means with the spread around them."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import FixedLocator, NullFormatter, PercentFormatter

from tombola.train.drawing.figure import COLOURS, INK, new_axes, new_figure, to_png

# Of two lines in one place both are seen.
STYLES = ("-", "--", "-.", ":")
# x, mean, standard deviation (NaN for none).
Point = tuple[float, float, float]


def draw_spreads(
    lines: Mapping[str, Sequence[Point]],
    *,
    x_label: str,
    y_label: str,
    level: tuple[str, float] | None = None,
    shares: bool = True,
) -> bytes:
    """PNG bytes. lines: name -> points; level: a name and a value that a dashed line marks. shares: x is a
    share of weights, drawn in per cent from much to little on a log scale; else as it is."""
    figure = new_figure()
    axes = new_axes(figure, x_label=x_label, y_label=y_label)
    for place, (name, points) in enumerate(lines.items()):
        again, colour = divmod(place, len(COLOURS))
        x, mean, sd = zip(*points, strict=True)
        axes.errorbar(
            x,
            mean,
            yerr=sd,
            color=COLOURS[colour],
            linestyle=STYLES[(place + again) % len(STYLES)],
            marker="o",
            markersize=4,
            linewidth=1.4,
            capsize=2,
            label=name,
        )
    if level:
        axes.axhline(level[1], linestyle="--", linewidth=0.9, color=INK, label=level[0])
    if shares:
        ends = [point[0] for points in lines.values() for point in points]
        axes.set_xscale("log")
        # Each half of the one before, as far as there are points.
        halves = [0.5**power for power in range(12) if min(ends) <= 0.5**power <= max(ends)]
        ticks = halves if len(halves) > 1 else [max(ends), min(ends)]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None if min(ticks) > 0.1 else 1))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.invert_xaxis()
    figure.legend(loc="outside upper left", ncols=2, fontsize=8, labelcolor=INK, frameon=False)
    return to_png(figure)
