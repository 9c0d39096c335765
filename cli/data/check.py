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
    from tombola.train.data.boxes import formats, layouts
    from tombola.train.data.boxes.check import check
    from tombola.train.data.boxes.sets import Part, look_at_sets
    from tombola.train.data.boxes.summary import summarize
    from tombola.train.data.labels import classify_formats, idx
    from tombola.train.data.labels.labelled_check import look_at

    if pictures is None and annotations.suffix.lower() == ".toml":
        return _look_at_recipe(annotations)
    if pictures is None and (format_ is None or format_.has_boxes):
        sets = layouts.find_sets(annotations)
        if sets:
            classes = classes or list(layouts.classes_of(annotations)) or None
            return look_at_sets([Part(split, one) for split, own in sets.items() for one in own], classes)
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


def _look_at_recipe(path: Path) -> tuple[list[tuple[str, str]], list["Finding"]]:
    """The same of all sets that a recipe names."""
    from tombola.train.data.boxes import sets as box_sets
    from tombola.train.data.boxes.layouts import BoxSource
    from tombola.train.data.labels import sets as label_sets
    from tombola.train.tasks.table import load_recipe

    recipe = load_recipe(path)
    data = recipe.data
    named = [(split, one) for split in ("train", "valid", "test") for one in getattr(data, split)]
    classes = data.classes or None
    if recipe.task == "detect":
        boxes = [
            box_sets.Part(
                split,
                BoxSource(
                    data.format,
                    data.root / one.annotations,
                    data.root / one.pictures,
                    data.root / one.list if one.list else None,
                ),
                one.folds,
                one.without,
            )
            for split, one in named
        ]
        return box_sets.look_at_sets(boxes, classes)
    labels = [
        label_sets.Part(
            split,
            data.format,
            data.root / one.pictures,
            data.root / one.labels if one.labels else None,
            one.folds,
        )
        for split, one in named
    ]
    return label_sets.look_at_sets(labels, classes)


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
