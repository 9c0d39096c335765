"""Where a model's time goes, layer by layer, for people."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from tombola.cli.table import table

RUNS, WARM_UP_RUNS = 20, 3
# A node of a layer is called net/LAYER_N, and what onnxruntime made of it has an ending of its own.
_NODE = re.compile(r"(?P<name>(?:pre|net|post)/.+?)_\d+(?:_\D.*)?")


def layer_times_ms(events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Layer, or kind of node, -> milliseconds, in the order in which they first run: sums of each node's
    median over the runs after the warm-up. events: those of `run_events`."""
    spent_us: defaultdict[str, list[float]] = defaultdict(list)
    for event in events:
        spent_us[event["name"]].append(float(event["dur"]))
    times_ms: defaultdict[str, float] = defaultdict(float)
    for node, times in spent_us.items():
        found = _NODE.fullmatch(node)
        name = found["name"] if found else node.split("_token_")[0]
        times_ms[name.removeprefix("net/")] += median(times[-RUNS:]) / 1e3
    return dict(times_ms)


def profile_lines(events: Sequence[Mapping[str, Any]], columns: int | None) -> list[str]:
    """A row for each layer, and for each other kind of node: milliseconds, and the share of all."""
    times_ms = layer_times_ms(events)
    whole = sum(times_ms.values()) or 1.0
    rows = [(name, f"{one:.3f}", f"{100 * one / whole:.1f} %") for name, one in times_ms.items()]
    rows.append(("all", f"{whole:.3f}", "100.0 %"))
    return table(("layer", "ms", "share"), rows, "<>>", columns=columns)
