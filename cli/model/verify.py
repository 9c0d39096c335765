"""`tombola verify`: does this copy of a model answer here as it did where it was made?"""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.options import Device, DeviceOption
from tombola.cli.polite import complain
from tombola.cli.table import one_line, table, terminal_columns


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .onnx model.", show_default=False)],
    device: DeviceOption = Device.auto,
) -> None:
    """Test a model file on the pictures and answers it carries.

    Exits 1 if an answer differs: the file is damaged, or this machine computes something else.
    It runs in a process of its own, for ten minutes at most: a file that crashes it ends with a message.

    \b
    Example:
      tombola verify detector.onnx
    """
    from tombola.runtime.verify import verify_apart

    report = verify_apart(file, device.value)
    kinds = max((probe.differences for probe in report.probes), key=len, default=())
    rows = [
        (
            probe.question,
            probe.expected,
            probe.found,
            *(f"{one.value:.2g}" for one in probe.differences),
            *("-" for _ in kinds[len(probe.differences) :]),
            "differs" if probe.problem else "ok",
        )
        for probe in report.probes
    ]
    header = ("probe", "expected", "found", *(f"{kind.things} off" for kind in kinds), "result")
    align = "><<" + ">" * len(kinds) + "<"
    lines = table(header, rows, align, columns=terminal_columns()) if rows else ["no probes"]
    lines += [
        f"{row[0]}: {one_line(probe.problem)}"
        for row, probe in zip(rows, report.probes, strict=True)
        if probe.problem
    ]
    typer.echo("\n".join(lines))
    if report.ok:
        allowed = ", ".join(f"{kind.things} {kind.allowed:g} {kind.unit}".rstrip() for kind in kinds)
        typer.echo(
            f"{file} answers on {report.device} as it did when it was made: {report.count} {report.counted} "
            f"compared (allowed: {allowed})"
        )
        return
    if report.count == 0 and not any(probe.problem for probe in report.probes):
        complain(f"{file} carries no probe with anything to compare, so nothing is known; export it again")
    else:
        failed = sum(bool(probe.problem) for probe in report.probes)
        complain(
            f"{file}: {failed} of {len(rows)} answers differ on {report.device}; copy or export it again"
        )
    raise typer.Exit(1)
