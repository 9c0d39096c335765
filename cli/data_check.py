"""`tombola data check`: what is wrong with a data set, before an hour of training is lost on it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.options import JsonOption
from tombola.cli.table import counted, one_line, table, terminal_columns, wrap

if TYPE_CHECKING:
    from tombola.train.data.finding import Finding

SHOWN_PER_KIND = 5

app = typer.Typer(help="Look at data sets.", no_args_is_help=True, rich_markup_mode=None)


class DataFormat(StrEnum):
    """How boxes are written down."""

    coco = "coco"
    voc = "voc"
    yolo = "yolo"


FormatOption = Annotated[
    DataFormat | None,
    typer.Option("--format", help="How the boxes are written down.", show_default="seen from the files"),
]


@app.callback()
def data() -> None:
    """Look at data sets."""


@app.command("check")
def data_check(
    annotations: Annotated[
        Path,
        typer.Argument(
            metavar="ANNOTATIONS", help="COCO's .json, or the folder of VOC's .xml or YOLO's .txt."
        ),
    ],
    pictures: Annotated[
        Path, typer.Argument(metavar="PICTURES", help="The folder, or plain .tar, of the pictures.")
    ],
    format_: FormatOption = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"List every fault, not {SHOWN_PER_KIND} of a kind.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find the faults of a data set: pictures, boxes, classes.

    Opens every picture. Reports missing and unreadable pictures, wrong sizes, boxes outside or without
    area, unknown classes, duplicates, classes without boxes. Exits 1 if training would refuse the data.

    \b
    Example:
      tombola data check annotations.json photos
    """
    from tombola.train.data.check import check
    from tombola.train.data.formats import read
    from tombola.train.data.summary import summarize

    entries = read(annotations, pictures, format_name=None if format_ is None else format_.value)
    findings = check(entries)
    if json:
        from json import dumps

        for one in findings:
            fault = {"kind": one.kind.value, "where": one.where, "what": one.what, "cure": one.cure}
            typer.echo(dumps({**fault, "stops_training": one.kind.stops_training}))
    else:
        columns = terminal_columns()
        lines = table(("", ""), summarize(entries).rows(), "<<", columns=columns)
        typer.echo("\n".join([*lines, *_report(findings, None if every else SHOWN_PER_KIND, columns)]))
    if any(one.kind.stops_training for one in findings):
        raise typer.Exit(1)


def _report(findings: list["Finding"], most: int | None, columns: int | None) -> list[str]:
    if not findings:
        return ["", "Nothing is wrong."]
    from tombola.train.data.finding import Kind

    lines: list[str] = []
    for kind in sorted(Kind, key=lambda kind: not kind.stops_training):
        group = [one for one in findings if one.kind is kind]
        if not group:
            continue
        lines += [
            "",
            f"{kind.value}: {len(group)}{'' if kind.stops_training else ' (does not stop training)'}",
        ]
        for one in group[:most]:
            lines += wrap(f"{one_line(one.where)}: {one_line(one.what)}", indent="  ", columns=columns)
        if len(group) > len(group[:most]):
            lines.append(f"  and {len(group) - len(group[:most])} more: --all lists them")
        lines += [f"  cure: {cure}" for cure in dict.fromkeys(one.cure for one in group[:most])]
    stopping = sum(one.kind.stops_training for one in findings)
    return [*lines, "", f"{counted(len(findings), 'fault')}; training would refuse {stopping}."]
