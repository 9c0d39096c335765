"""python -m tombola.cli.training.sequences: what recurrent networks remember, and what attention is for."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.folder import make_folder
from tombola.cli.polite import run_politely
from tombola.terminal_line import TerminalLine


def sequences(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")] = Path(
        "runs/sequences"
    ),
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each network.")] = 1,
) -> None:
    """Name the first of many symbols, by lag; and reverse strings of digits with and without attention, by
    length. Writes sequences.csv, memory.png, reversal.png and report.md."""
    from tombola.train.studies.sequences import measure, write_report

    make_folder(out, "--out")
    line = TerminalLine(in_a_log_s=0)
    rows = list(measure(seeds, line.show))
    line.clear()
    typer.echo(write_report(rows, out))


if __name__ == "__main__":
    run_politely(sequences)
