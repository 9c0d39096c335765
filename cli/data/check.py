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


class DataFormat(StrEnum):
    """How boxes (coco, voc, yolo) or labels (idx, cifar, folder) are written down."""

    coco = "coco"
    voc = "voc"
    yolo = "yolo"
    idx = "idx"
    cifar = "cifar"
    folder = "folder"

    @property
    def has_boxes(self) -> bool:
        """Whether it is a format for detection."""
        return self in (DataFormat.coco, DataFormat.voc, DataFormat.yolo)


FormatOption = Annotated[
    DataFormat | None,
    typer.Option("--format", help="How the data are written down.", show_default="seen from the files"),
]


def data_check(
    annotations: Annotated[
        Path,
        typer.Argument(
            metavar="ANNOTATIONS",
            help="COCO's .json, the folder of VOC's .xml or YOLO's .txt, or idx labels; or, alone, CIFAR "
            "batches or a folder with a folder per class.",
        ),
    ],
    pictures: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PICTURES]",
            help="The folder, or plain .tar, of the pictures; idx pictures.",
            show_default=False,
        ),
    ] = None,
    format_: FormatOption = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="A,B",
            help="The classes there should be; of idx in the order of their numbers.",
            show_default="those of the data",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"List every fault, not {SHOWN_PER_KIND} of a kind.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find the faults of a data set: pictures, boxes, labels, classes.

    Opens every picture. Reports missing and unreadable pictures, wrong sizes, boxes outside or without
    area, unknown classes, duplicates, one picture in two classes, classes without pictures or boxes. Exits 1
    if training would refuse the data.

    \b
    Example:
      tombola data check annotations.json photos
      tombola data check photos-by-class
    """
    names = None if classes is None else [name.strip() for name in classes.split(",")]
    summary_rows, findings = _look(annotations, pictures, format_, names)
    if json:
        from json import dumps

        for one in findings:
            fault = {"kind": one.kind.value, "where": one.where, "what": one.what, "cure": one.cure}
            typer.echo(dumps({**fault, "stops_training": one.kind.stops_training}))
    else:
        columns = terminal_columns()
        lines = table(("", ""), summary_rows, "<<", columns=columns)
        typer.echo("\n".join([*lines, *_report(findings, None if every else SHOWN_PER_KIND, columns)]))
    if any(one.kind.stops_training for one in findings):
        raise typer.Exit(1)


def _look(
    annotations: Path, pictures: Path | None, format_: DataFormat | None, classes: list[str] | None
) -> tuple[list[tuple[str, str]], list["Finding"]]:
    """What is in the data, as rows of a table, and what is wrong with it."""
    from tombola.train.data.boxes import formats
    from tombola.train.data.boxes.check import check
    from tombola.train.data.boxes.summary import summarize
    from tombola.train.data.labels import classify_formats, idx
    from tombola.train.data.labels.labelled_check import look_at

    name = None if format_ is None else format_.value
    if format_ is not None:
        has_boxes = format_.has_boxes
    elif pictures is None:
        has_boxes = annotations.suffix.lower() == ".json"
    else:
        has_boxes = not idx.is_idx(annotations)
    if not has_boxes:
        labels = None if pictures is None else annotations
        labelled = classify_formats.read(pictures or annotations, labels, classes, name)
        summary, findings = look_at(labelled)
        return summary.rows(), findings
    if pictures is None:
        raise typer.BadParameter("PICTURES is missing; boxes are in files beside their pictures.")
    entries = formats.read(annotations, pictures, classes, name)
    return summarize(entries).rows(), check(entries)


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
