"""Where a model's time goes, layer by layer, for people."""

from collections.abc import Mapping

from tombola.cli.table import table


def profile_lines(times_ms: Mapping[str, float], columns: int | None) -> list[str]:
    """A row for each layer, and for each other kind of node, as `layer_times_ms` has them: milliseconds, and
    the share of all."""
    whole = sum(times_ms.values()) or 1.0
    rows = [(name, f"{one:.3f}", f"{100 * one / whole:.1f} %") for name, one in times_ms.items()]
    rows.append(("all", f"{whole:.3f}", "100.0 %"))
    return table(("layer", "ms", "share"), rows, "<>>", columns=columns)
