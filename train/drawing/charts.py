"""The report's charts: losses and scores by epoch, and what the watch saw by layer."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tombola.train.drawing.figure import INK, new_axes, new_figure, to_png
from tombola.train.run.watch_row import FAST_RATIO, HEALTHY_RATIO, SLOW_RATIO, WatchRow

# With more lines than this, names are given to the first and the last alone.
NAMED_LINES = 6
# From the first layer to the last; all of it reads on white and on black.
DEPTHS = LinearSegmentedColormap.from_list("depths", ["#2a7fd4", "#b0489f", "#d9730d"])


def draw_loss(rows: Sequence[Mapping[str, float]]) -> bytes:
    """PNG bytes: the mean training loss of each epoch and its parts; rows as in metrics.csv."""
    parts = [key for key in rows[-1] if key.startswith("loss_")]
    return _draw_by_epoch(rows, ["loss", *(parts if len(parts) > 1 else [])], "mean training loss")


def draw_scores(rows: Sequence[Mapping[str, float]], keys: Sequence[str]) -> bytes:
    """PNG bytes: validation figures of one kind by epoch."""
    return _draw_by_epoch(rows, keys, "on the validation pictures")


def draw_update_ratios(rows: Sequence[WatchRow]) -> bytes:
    """PNG bytes: ‖update‖ / ‖weight‖ of each layer over the steps, with the healthy band."""

    def decorate(axes: Axes) -> None:
        axes.set_yscale("log")
        axes.axhspan(HEALTHY_RATIO / 10, HEALTHY_RATIO * 10, color="#009e73", alpha=0.15, linewidth=0)
        for limit in (SLOW_RATIO, FAST_RATIO):
            axes.axhline(limit, color=INK, linestyle=":", linewidth=1)

    return _draw_by_layer(rows, lambda row: row.update_ratio or None, "‖update‖ / ‖weight‖", decorate)


def draw_gradients(rows: Sequence[WatchRow]) -> bytes:
    """PNG bytes: ‖gradient‖ of each layer over the steps; one that is 0 leaves a gap."""
    return _draw_by_layer(
        rows, lambda row: row.gradient_norm or None, "‖gradient‖", lambda axes: axes.set_yscale("log")
    )


def draw_dead_units(rows: Sequence[WatchRow]) -> bytes:
    """PNG bytes: the share of dead units of each rectifier layer over the steps."""
    return _draw_by_layer(rows, lambda row: row.dead_share, "dead units", _as_shares)


def draw_saturated_units(rows: Sequence[WatchRow]) -> bytes:
    """PNG bytes: the share of saturated answers of each sigmoid or tanh layer over the steps."""
    return _draw_by_layer(rows, lambda row: row.saturated_share, "saturated answers", _as_shares)


def _as_shares(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _draw_by_epoch(rows: Sequence[Mapping[str, float]], keys: Sequence[str], y_label: str) -> bytes:
    figure = new_figure()
    axes = new_axes(figure, x_label="epoch", y_label=y_label)
    for key in keys:
        points = [(row["epoch"], row[key]) for row in rows if key in row]
        name = key.removeprefix("valid_").removeprefix("loss_").replace("_", " ")
        axes.plot(
            *zip(*points, strict=True), marker=".", linewidth=1.8 if key == keys[0] else 1.2, label=name
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend(figure, axes)
    return to_png(figure)


def _draw_by_layer(
    rows: Sequence[WatchRow],
    value_of: Callable[[WatchRow], float | None],
    y_label: str,
    decorate: Callable[[Axes], None],
) -> bytes:
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        value = value_of(row)
        if value is not None:
            lines.setdefault(row.layer, []).append((row.step, value))
    figure = new_figure()
    axes = new_axes(figure, x_label="step", y_label=y_label)
    for number, (layer, points) in enumerate(lines.items()):
        named = len(lines) <= NAMED_LINES or number in (0, len(lines) - 1)
        axes.plot(
            *zip(*points, strict=True),
            marker="." if len(points) < 30 else "",
            linewidth=1.2,
            color=DEPTHS(number / max(len(lines) - 1, 1)),
            label=layer if named else f"_{layer}",
        )
    decorate(axes)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    _legend(figure, axes)
    return to_png(figure)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    if len(handles) > 1:
        figure.legend(
            handles, names, loc="outside upper left", ncols=2, fontsize=8, labelcolor=INK, frameon=False
        )
