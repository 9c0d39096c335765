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

    \b
    Example:
      tombola verify detector.onnx
    """
    from tombola.runtime.verify import verify

    report = verify(file, device.value)
    rows = [
        (
            f"{probe.size_hw[1]}×{probe.size_hw[0]}",
            probe.expected,
            probe.found,
            *(f"{probe.differences[unit]:.2g}" for unit in report.tolerances),
            "differs" if probe.problem else "ok",
        )
        for probe in report.probes
    ]
    header = ("picture", "expected", "found", *(f"off by {unit}" for unit in report.tolerances), "result")
    align = "><<" + ">" * len(report.tolerances) + "<"
    lines = table(header, rows, align, columns=terminal_columns()) if rows else ["no probes"]
    lines += [
        f"{row[0]}: {one_line(probe.problem)}"
        for row, probe in zip(rows, report.probes, strict=True)
        if probe.problem
    ]
    typer.echo("\n".join(lines))
    allowed = " and ".join(
        f"{most:g} {unit if unit == 'px' else f'of {unit}'}" for unit, most in report.tolerances.items()
    )
    if report.ok:
        typer.echo(f"{file} answers on {report.device} as it did when it was made (allowed: {allowed})")
        return
    if not report.probes:
        complain(f"{file} carries no probe pictures, so it cannot be verified; export it again")
    else:
        failed = sum(bool(probe.problem) for probe in report.probes)
        complain(
            f"{file}: {failed} of {len(rows)} answers differ on {report.device}; copy or export it again"
        )
    raise typer.Exit(1)
