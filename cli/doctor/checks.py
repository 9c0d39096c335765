"""What `tombola doctor` reports: one line a thing looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tombola.cli.table import GAP, one_line, table, width, wrap

State = Literal["ok", "absent", "broken"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    state: `absent` is fine where it is optional (no camera, no GPU); `broken` makes the doctor exit 1.
    found: what was seen, a version for instance.
    cure:  what to do about it, a command where there is one; empty where nothing needs doing.
    """

    name: str
    state: State
    found: str
    cure: str = ""


def section(title: str, checks: Sequence[Check], *, columns: int | None = None) -> list[str]:
    """Lines for one headed group of checks: state, name, finding, and below it the cure."""
    rows = table(
        ("", ""),
        [("BROKEN" if check.state == "broken" else check.state, check.name) for check in checks],
        "<<",
        indent=GAP,
    )
    edge = max(map(width, rows), default=0) + len(GAP)
    lines = ["", title]
    for check, row, after in zip(checks, rows, [*checks[1:], None], strict=True):
        first, *more = wrap(one_line(check.found), indent=" " * edge, columns=columns)
        lines += [row + first[width(row) :], *more]
        if check.cure and not (after and after.cure == check.cure):
            # On lines of their own and never broken: they are there to be copied.
            lines += [" " * edge + line for line in check.cure.splitlines()]
    return lines
