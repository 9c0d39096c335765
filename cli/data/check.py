"""`tombola data check`: what is wrong with a data set, before an hour of training is lost on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tombola.cli.options import JsonOption
from tombola.cli.table import counted, one_line, table, terminal_columns, wrap
from tombola.cli.tasks import TASKS, fetch

if TYPE_CHECKING:
    from tombola.cli.data.look import Look
    from tombola.train.data.finding import Finding

SHOWN_PER_KIND = 5


FORMATS = {name: task for task, row in TASKS.items() for name in row.formats}


def _check_format(name: str | None) -> str | None:
    if name is not None and name not in FORMATS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(FORMATS)}.")
    return name


FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="F",
        callback=_check_format,
        help=f"How the data are written down: {', '.join(FORMATS)}.",
        show_default="seen from the files",
    ),
]


def data_check(
    annotations: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A recipe; a YOLO data.yaml; a VOC or COCO root, or an export with a folder a set; a folder "
            "with a folder per class; CIFAR batches. Or, with PICTURES: COCO's .json, the folder of VOC's "
            ".xml or YOLO's .txt, or idx labels.",
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
    area, unknown classes, duplicates, one picture in two classes, classes without pictures or boxes; of a
    recipe or a divided folder, pictures that two sets share. Exits 1 if training would refuse the data.

    \b
    Example:
      tombola data check recipe.toml
      tombola data check dataset/data.yaml
      tombola data check VOC2007
      tombola data check annotations.json photos
      tombola data check photos-by-class
    """
    names = None if classes is None else [name.strip() for name in classes.split(",")]
    summary_rows, findings = _look(annotations, pictures, names, format_)
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


def _look(annotations: Path, pictures: Path | None, classes: list[str] | None, format_: str | None) -> "Look":
    """What is in the data, as rows of a table, and what is wrong with it: by the row of their task."""
    if pictures is None and annotations.suffix.lower() == ".toml":
        from tombola.train.tasks.table import load_recipe

        recipe = load_recipe(annotations)
        return cast("Look", fetch(TASKS[recipe.task].look_at_recipe)(recipe))
    if format_ is not None:
        row = TASKS[FORMATS[format_]]
    else:
        # Last rows first: detect and classify share what no later task claims, and say what is wrong with it.
        row = next(row for row in reversed(TASKS.values()) if fetch(row.holds)(annotations, pictures))
    return cast("Look", fetch(row.look)(annotations, pictures, classes, format_))


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
