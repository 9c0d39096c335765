"""The report of a study of channels: report.md, study.csv and a picture, anew from whatever is done."""

import csv
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tombola.train.drawing.spreads import draw_spreads
from tombola.train.run.folder import write_atomic
from tombola.train.studies.channels.contender import Contender, Result, contenders
from tombola.train.studies.channels.study import NARROW, OFFERED, ChannelStudy, Kind
from tombola.train.studies.claim import Claim
from tombola.train.studies.spread import Spread

# How a contender is called in tables and pictures.
NAMES: dict[Kind, str] = {
    "dense": "dense",
    "least_squares": "least squares",
    "l1": "l1",
    "random": "random channels",
    "scratch": "same widths from scratch",
    "longer": "dense, trained on as long",
    "by_macs": "least squares, by arithmetic",
    "mask": "mask alone",
    "ticket": "ticket",
}
# Of what is offered, against a control: is it worth the search?
QUESTIONS: dict[Kind, str] = {
    "random": "Which channels stay matters: the best of them beat random ones",
    "scratch": "Cutting beats training as narrow a network from scratch, as long in all",
}


@dataclass(frozen=True)
class Row:
    """One contender over its seeds; results by seed."""

    kind: Kind
    keep: float
    results: dict[int, Result]

    @property
    def valid(self) -> Spread:
        """Per cent right of the validation pictures."""
        return Spread.of(100 * one.valid for one in self.results.values())

    @property
    def test(self) -> Spread:
        """Per cent right of the test pictures."""
        return Spread.of(100 * one.test for one in self.results.values())

    @property
    def as_cut(self) -> Spread:
        """Per cent right of the validation pictures before it trained again."""
        known = [one.as_cut for one in self.results.values() if one.as_cut is not None]
        return Spread.of(100 * value for value in known)

    @property
    def name(self) -> str:
        return NAMES[self.kind]

    def mean(self, field: str) -> float:
        """Of parameters or macs."""
        return statistics.fmean(getattr(one, field) for one in self.results.values())

    def above(self, other: "Row") -> Spread:
        """Points of test accuracy above another row, over the seeds that both have."""
        pairs = [(one, other.results[seed]) for seed, one in self.results.items() if seed in other.results]
        return Spread.of(100 * (mine.test - its.test) for mine, its in pairs)


def write_report(study: ChannelStudy, folder: Path) -> list[str]:
    """Write it into the folder; a line a claim. What is not done yet is left out, and the report says so."""
    planned = list(contenders(study, folder))
    done = [one for one in planned if one.is_done]
    rows = _rows(done)
    claims = answer_claims(study, rows)
    lines = [f"# Channels of {study.recipe}", ""]
    if len(done) < len(planned):
        lines += [f"{len(done)} of {len(planned)} contenders are trained; the same command goes on.", ""]
    lines += [f"- **{claim.claim}: {claim.verdict}.** {claim.sentence}" for claim in claims]
    lines += ["", *_table(rows)]
    narrow = [row for row in rows if row.kind in NARROW]
    if narrow:
        write_atomic(folder / "accuracy.png", _picture(rows, narrow))
        lines += ["", "![accuracy](accuracy.png)"]
    write_atomic(folder / "study.csv", _to_csv(rows).encode())
    write_atomic(folder / "report.md", ("\n".join(lines) + "\n").encode())
    return [claim.told() for claim in claims]


def answer_claims(study: ChannelStudy, rows: Sequence[Row]) -> list[Claim]:
    """What can be said of the rows."""
    dense, longer = _find(rows, "dense"), _find(rows, "longer")
    best = {keep: one for keep in study.keeps if (one := _best(rows, keep))}
    claims = []
    for keep, most_lost in study.most_lost:
        if dense is None or keep not in best:
            continue
        row = best[keep]
        above = row.above(dense)
        further = f", {row.above(longer).told(2, sign=True)} to one trained on as long" if longer else ""
        claims.append(
            Claim(
                f"With {100 * keep:.0f} % of the channels it loses at most {most_lost:g} points",
                above.mean >= -most_lost,
                f"The best on the validation pictures is {row.name}: {row.test.told(2)} % of the test "
                f"pictures right, {above.told(2, sign=True)} points to the dense network{further} "
                f"({_seeds(row)}).",
            )
        )
    for kind, text in QUESTIONS.items():
        pairs = [(one, control) for keep, one in best.items() if (control := _find(rows, kind, keep))]
        claims += _compared(text, pairs)
    equal = [(_find(rows, "by_macs", keep), _find(rows, "least_squares", keep)) for keep in study.keeps]
    claims += _compared(
        "Channels from where they are missed least beat equal shares of each layer",
        [(one, other) for one, other in equal if one and other],
    )
    return claims


def _compared(text: str, pairs: Sequence[tuple[Row, Row]]) -> list[Claim]:
    """Whether the first of each pair is better, by more than twice the standard error; undecided where one
    seed has no spread, or shares disagree."""
    if not pairs:
        return []
    above = [one.above(other) for one, other in pairs]
    surely = [
        gap.mean > 2 * gap.sd / len(one.results) ** 0.5 for gap, (one, _) in zip(above, pairs, strict=True)
    ]
    spread = not any(math.isnan(gap.sd) for gap in above)
    told = [
        f"with {100 * one.keep:.0f} %, {one.name} is {gap.told(2, sign=True)} points above {other.name}"
        for gap, (one, other) in zip(above, pairs, strict=True)
    ]
    verdict = True if all(surely) else False if not any(surely) and spread else None
    sentence = "; ".join(told)
    return [Claim(text, verdict, f"{sentence[0].upper()}{sentence[1:]}.")]


def _best(rows: Sequence[Row], keep: float) -> Row | None:
    """What is offered of that share, chosen by the validation pictures."""
    offered = [row for row in rows if row.kind in OFFERED and row.keep == keep]
    return max(offered, key=lambda row: row.valid.mean, default=None)


def _find(rows: Sequence[Row], kind: Kind, keep: float = 1.0) -> Row | None:
    return next((row for row in rows if (row.kind, row.keep) == (kind, keep)), None)


def _rows(done: Sequence[Contender]) -> list[Row]:
    results: dict[tuple[Kind, float], dict[int, Result]] = {}
    for one in done:
        results.setdefault((one.kind, one.keep), {})[one.seed] = one.result()
    rows = [Row(kind, keep, found) for (kind, keep), found in results.items()]
    return sorted(rows, key=lambda row: -row.keep)


def _seeds(row: Row) -> str:
    return f"{len(row.results)} seed{'s' if len(row.results) > 1 else ''}"


def _table(rows: Sequence[Row]) -> list[str]:
    """Markdown: mean ± standard deviation over seeds."""
    dense = _find(rows, "dense")
    lines = [
        "| contender | channels | parameters | M MACs | as cut, % of valid | valid, % | test, % | to dense, "
        "points | seeds |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [
            row.name,
            f"{100 * row.keep:.0f} %",
            f"{row.mean('parameters'):,.0f}",
            f"{row.mean('macs'):.1f}",
            row.as_cut.told(1),
            row.valid.told(2),
            row.test.told(2),
            row.above(dense).told(2, sign=True) if dense and row is not dense else "",
            str(len(row.results)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _to_csv(rows: Sequence[Row]) -> str:
    """A line for each training."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["contender", "keep", "seed", "parameters", "macs_millions", "as_cut", "valid", "test"])
    for row in rows:
        for seed, one in sorted(row.results.items()):
            as_cut = "" if one.as_cut is None else f"{one.as_cut:.6g}"
            shares = [as_cut, f"{one.valid:.6g}", f"{one.test:.6g}"]
            writer.writerow([row.kind, row.keep, seed, one.parameters, f"{one.macs:.6g}", *shares])
    return text.getvalue()


def _picture(rows: Sequence[Row], narrow: Sequence[Row]) -> bytes:
    dense = _find(rows, "dense")
    whole = dense.mean("parameters") if dense else max(row.mean("parameters") for row in narrow)
    lines = {
        NAMES[kind]: [
            (row.mean("parameters") / whole, row.test.mean, row.test.sd) for row in narrow if row.kind == kind
        ]
        for kind in dict.fromkeys(row.kind for row in narrow)
    }
    return draw_spreads(
        lines,
        x_label="weights left",
        y_label="right, % of the test pictures",
        level=("dense", dense.test.mean) if dense else None,
    )
