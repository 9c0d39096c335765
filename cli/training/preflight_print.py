"""What `tombola train --preflight` prints."""

from collections.abc import Sequence
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING

import typer

from tombola.cli.options import Device
from tombola.cli.recipe_path import find_recipe
from tombola.cli.table import counted, terminal_columns, wrap

if TYPE_CHECKING:
    from tombola.train.doctor.preflight import Preflight

INDENT = " " * 10


def print_preflight(
    recipe: Path,
    out: Path | None,
    changes: Sequence[str],
    device: str,
    *,
    budget_minutes: float,
    quiet: bool,
) -> int:
    """Examine the recipe, as it was typed, and print the findings; 1 if there is a fault, else 0."""
    from tombola.train.loop.progress import ProgressLine
    from tombola.train.train import preflight_recipe

    progress = ProgressLine(0, quiet=quiet)
    run, result = preflight_recipe(
        find_recipe(recipe),
        out,
        overrides=changes,
        device=device,
        budget_s=60 * budget_minutes,
        say=progress.say,
        show=progress.show,
    )
    progress.clear()
    for line in preflight_lines(result, terminal_columns()):
        typer.echo(line)
    written = "preflight.json" if result.range_test is None else "preflight.json and range_test.png"
    typer.echo(f"{run.path}: {written}, after {result.seconds:.0f} s")
    if result.has_fault:
        return 1
    same = [] if out is None else ["--out", str(out)]
    same += [part for change in changes for part in ("--set", change)]
    same += [] if device == Device.auto else ["--device", device]
    typer.echo(f"Next: {join(['tombola', 'train', str(recipe), *same])}")
    return 0


def preflight_lines(result: "Preflight", columns: int | None) -> list[str]:
    """The findings, each after its level, and how many faults and warnings there are."""
    lines = []
    for finding in result.findings:
        text = f"{finding.check}: {finding.sentence}"
        first, *more = wrap(text, indent=INDENT, columns=columns)
        lines += [finding.level.upper().ljust(len(INDENT)) + first[len(INDENT) :], *more]
    levels = [finding.level for finding in result.findings]
    said = [counted(levels.count(level), level) for level in ("fault", "warning") if level in levels]
    skipped = [finding.check for finding in result.findings if finding.level == "skipped"]
    unseen = f"; not examined: {', '.join(skipped)}" if skipped else ""
    return [*lines, "", *wrap((", ".join(said) or "No fault found") + unseen, columns=columns)]
