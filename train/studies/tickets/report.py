"""The report of a study: report.md, study.csv and the pictures, written anew from whatever is done."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from tombola.train.drawing.spreads import Point, draw_spreads
from tombola.train.run.folder import write_atomic
from tombola.train.studies.claim import Claim
from tombola.train.studies.spread import Spread
from tombola.train.studies.tickets.claims import answer_claims
from tombola.train.studies.tickets.findings import Findings, Row
from tombola.train.studies.tickets.study import Kind, Study

# How an arm is called in tables and pictures.
NAMES: dict[Kind, str] = {
    "tickets": "ticket",
    "late": "late ticket",
    "reinit": "other first weights",
    "foreign": "another seed's mask",
    "random": "random mask",
    "untrained": "mask of the first weights",
    "dense_twins": "dense, another order, from step",
    "ticket_twins": "ticket, another order",
    "late_twins": "late ticket, another order",
}
BY_LEFT: tuple[Kind, ...] = ("tickets", "late", "reinit", "foreign", "random", "untrained")
COLUMNS = (
    "network,arm,number,seeds,living,weights_left,test,test_sd,gap,gap_sd,stop_step,stop_step_sd,"
    "steps_to_dense,steps_to_dense_sd,seeds_that_reached,barrier,barrier_sd"
)


def write_report(study: Study, folder: Path) -> list[str]:
    """Write it into the folder; a line a claim. What is not done yet is left out, and the report says so."""
    found = Findings(study, folder)
    claims = answer_claims(found)
    pictures = {name: png for name, png in _pictures(found).items() if png}
    for name, png in pictures.items():
        write_atomic(folder / f"{name}.png", png)
    write_atomic(folder / "study.csv", _to_csv(found.rows).encode())
    write_atomic(folder / "report.md", _to_markdown(found, claims, list(pictures)).encode())
    return [claim.told() for claim in claims]


def _to_markdown(found: Findings, claims: Sequence[Claim], pictures: Sequence[str]) -> str:
    lines = [f"# Tickets of {found.study.recipe}", ""]
    if found.done < found.planned:
        lines += [f"{found.done} of {found.planned} cells are done; the same command goes on.", ""]
    lines += [f"- **{claim.claim}: {claim.verdict}.** {claim.sentence}" for claim in claims]
    lines += ["", *_table(found.rows), ""]
    lines += [f"![{name}]({name}.png)" for name in pictures]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Row]) -> list[str]:
    """Markdown: mean ± standard deviation over seeds, a row a cell."""
    lines = [
        "| network | arm | round | weights left | right, % | to dense, points | early stop, step | dense "
        "accuracy at step | seeds | barrier, points |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        dense = (row.arm.kind, row.number) == ("tickets", 0)
        cells = [
            row.arm.network,
            "dense" if dense else NAMES[row.arm.kind],
            str(row.number),
            f"{100 * row.left:.1f} %",
            row.test.told(2),
            "" if dense else row.gap.told(2, sign=True),
            row.stop.told(0),
            f"{row.to_dense.told(0)} ({row.reached}/{row.seeds})",
            str(row.seeds),
            "" if math.isnan(row.barrier.mean) else row.barrier.told(2),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _to_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS.split(","))
    for row in rows:
        spreads = [row.test, row.gap, row.stop, row.to_dense]
        numbers = [value for spread in spreads for value in (spread.mean, spread.sd)]
        writer.writerow(
            [
                *(row.arm.network, row.arm.kind, row.number, row.seeds, f"{row.living:g}", f"{row.left:.6g}"),
                *(_cell(value) for value in numbers),
                *(row.reached, _cell(row.barrier.mean), _cell(row.barrier.sd)),
            ]
        )
    return text.getvalue()


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _pictures(found: Findings) -> dict[str, bytes | None]:
    """PNG bytes by name; None for one that has nothing to show yet."""
    if not found.of("tickets"):
        return {}
    dense = found.of("tickets")[0]
    left = "weights left"
    return {
        "accuracy": _by_left(found, "test", "right, % of the test pictures", dense.test.mean),
        "stop": _by_left(found, "stop", "early stop, step", dense.stop.mean),
        "overlap": _overlap(found),
        "barrier": _barrier(found),
        "widths": draw_spreads(
            {
                network: [_point(row.left, row.gap) for row in found.of("tickets", network)]
                for network in found.study.networks
                if found.of("tickets", network)
            },
            x_label=left,
            y_label="points above its own dense network",
            level=("dense", 0.0),
        ),
    }


def _by_left(found: Findings, field: str, y_label: str, dense: float) -> bytes:
    lines = {
        NAMES[kind]: [_point(row.left, getattr(row, field)) for row in found.of(kind)]
        for kind in BY_LEFT
        if found.of(kind)
    }
    return draw_spreads(lines, x_label="weights left", y_label=y_label, level=("dense", dense))


def _overlap(found: Findings) -> bytes | None:
    overlaps = found.overlaps()
    if not overlaps:
        return None
    lines = {
        "masks of two seeds": [_point(row.left, measured) for row, measured, _ in overlaps],
        "by chance": [_point(row.left, chance) for row, _, chance in overlaps],
    }
    return draw_spreads(lines, x_label="weights left", y_label="Jaccard overlap of what lives")


def _barrier(found: Findings) -> bytes | None:
    rows = found.of("dense_twins")
    if not rows:
        return None
    return draw_spreads(
        {"dense network": [_point(row.number, row.barrier) for row in rows]},
        x_label="step from which two copies part",
        y_label="error barrier, points",
        shares=False,
    )


def _point(x: float, spread: Spread) -> Point:
    return x, spread.mean, spread.sd
