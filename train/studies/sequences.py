"""What recurrent networks remember, and what attention is for: two small experiments and their report."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, pstdev
from typing import NamedTuple

from tombola.train.drawing.spreads import draw_spreads
from tombola.train.networks.caption.attention import AttentionName
from tombola.train.networks.layers.cells import CellName
from tombola.train.run.folder import write_atomic
from tombola.train.studies import bottleneck, memory_by_lag

CELLS: Sequence[CellName] = ("rnn", "gru", "lstm")
LAGS = (3, 7, 15, 30, 60)
LAG_STEPS, GROWING_STEPS = 600, 1000
TRUNCATED: CellName = "lstm"
TRUNCATE = 8  # symbols that its gradient goes back through
ATTENTIONS: Mapping[str, AttentionName] = {"one vector": "none", "attention": "additive"}
LENGTHS, LONGEST = (2, 4, 6, 8, 10, 12, 14, 16), 12
REVERSE_STEPS = 700
# A lag or a length is held where so many answers are right.
HELD = 0.9


class Row(NamedTuple):
    """One measurement: which experiment and network, its seed, the lag or length `x`, and the share right."""

    experiment: str
    network: str
    seed: int
    x: int
    right: float


def measure(seeds: int, told: Callable[[str], None]) -> Iterator[Row]:
    """All measurements; `told` hears of each training."""
    for seed in range(seeds):
        for cell, truncate in [*((cell, 0) for cell in CELLS), (TRUNCATED, TRUNCATE)]:
            name = cell.upper() + (f", gradient through {truncate}" if truncate else "")
            told(f"{name}, seed {seed}")
            for lag in LAGS:
                network = memory_by_lag.train_at(cell, lag, seed, LAG_STEPS, truncate=truncate)
                yield Row("memory", name, seed, lag, memory_by_lag.share_right(network, lag))
            network = memory_by_lag.train_at(
                cell, LAGS[-1], seed, GROWING_STEPS, growing=True, truncate=truncate
            )
            for lag in LAGS:
                right = memory_by_lag.share_right(network, lag)
                yield Row("memory", f"{name}, growing lags", seed, lag, right)
        for name, attention in ATTENTIONS.items():
            told(f"{name}, seed {seed}")
            reverser = bottleneck.train(attention, LONGEST, seed, REVERSE_STEPS)
            for length in LENGTHS:
                yield Row("reversal", name, seed, length, bottleneck.share_right(reverser, length))


def write_report(rows: Sequence[Row], folder: Path) -> str:
    """Write sequences.csv, memory.png, reversal.png and report.md; returns the text of the last."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(row._replace(right=round(row.right, 4)) for row in rows)
    write_atomic(folder / "sequences.csv", table.getvalue().encode())
    memory, reversal = (lines(rows, name) for name in ("memory", "reversal"))
    for name, drawn, x_label, chance in (
        ("memory", memory, "symbols after the one to remember", 1 / memory_by_lag.SYMBOLS),
        ("reversal", reversal, "digits in the string", 1 / bottleneck.DIGITS),
    ):
        png = draw_spreads(
            drawn, x_label=x_label, y_label="share right", level=("by chance", chance), shares=False
        )
        write_atomic(folder / f"{name}.png", png)
    text = "\n".join([*_told(memory, "lag"), "", *_told(reversal, "digits"), ""])
    write_atomic(folder / "report.md", text.encode())
    return text


def lines(rows: Sequence[Row], experiment: str) -> dict[str, list[tuple[float, float, float]]]:
    """Network -> (lag or length, mean over seeds, standard deviation)."""
    shares: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.experiment == experiment:
            shares[row.network][row.x].append(row.right)
    return {
        network: [(x, mean(right), pstdev(right)) for x, right in by_x.items()]
        for network, by_x in shares.items()
    }


def held(points: Sequence[tuple[float, float, float]]) -> int:
    """The greatest lag or length up to which all are held; 0 for none."""
    longest = 0
    for x, right, _ in points:
        if right < HELD:
            break
        longest = int(x)
    return longest


def _told(drawn: Mapping[str, Sequence[tuple[float, float, float]]], x_name: str) -> Iterator[str]:
    """A table in Markdown: a row a network, its share right at each x, and what it holds."""
    xs = [f"{x:.0f}" for x, _, _ in next(iter(drawn.values()))]
    yield f"| {x_name} | {' | '.join(xs)} | holds |"
    yield f"| --- |{' ---: |' * (len(xs) + 1)}"
    for network, points in drawn.items():
        shares = " | ".join(f"{100 * right:.0f} %" for _, right, _ in points)
        yield f"| {network} | {shares} | {held(points)} |"
