"""python -m tombola.cli.training.sequences: what recurrent networks remember, and what attention is for."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.polite import polite_errors
from tombola.terminal_line import TerminalLine


def sequences(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")] = Path(
        "runs/sequences"
    ),
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each network.")] = 1,
) -> None:
    """Name the first of many symbols, by lag; and reverse strings of digits with and without attention, by
    length. Writes sequences.csv, memory.png, reversal.png and report.md."""
    from tombola.errors import OutputError
    from tombola.train.studies.sequences import measure, write_report

    with polite_errors():
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"--out {out}: cannot be made ({error.strerror}); give another folder."
            ) from None
        line = TerminalLine(in_a_log_s=0)
        rows = list(measure(seeds, line.show))
        line.clear()
        typer.echo(write_report(rows, out))


if __name__ == "__main__":
    typer.run(sequences)
