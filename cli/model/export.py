"""`tombola export`: a run folder becomes one .onnx file."""

from math import prod
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tombola.cli.sizes import size_text
from tombola.cli.table import counted, table, terminal_columns, wrap
from tombola.cli.training.run_path import check_run
from tombola.errors import ExportError

MOST_CARD_BYTES = 4_000_000

if TYPE_CHECKING:
    from tombola.export.export import ExportReport
    from tombola.export.parity.parity import Parity


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The .onnx file to write.",
            show_default="detector.onnx or classifier.onnx",
        ),
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", metavar="W", help="best, last, initial or early-K.")
    ] = "best",
    score: Annotated[
        float | None,
        typer.Option(
            "--score",
            min=0.0,
            max=1.0,
            metavar="S",
            help="Of a detector: show boxes of this score and more, unless asked otherwise.",
            show_default="that of the recipe",
        ),
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(
            "--photo",
            metavar="P",
            help="Check on this picture too, and carry it as a probe; repeatable.",
            show_default="three of the run's pictures for validation",
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            "--card", metavar="FILE", help="A .toml of more facts for the card: licence, author, metrics."
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full-precision", help="Store weights as float32, twice as large, instead of float16."
        ),
    ] = False,
) -> None:
    """Export a run to one .onnx file: picture in, answer out.

    The file is compared with PyTorch on pictures of many sizes before it is written, and carries small
    pictures and their answers for `tombola verify`: yours by --photo, else three that the run kept for
    validation or test, else drawn ones.

    \b
    Example:
      tombola export runs/first -o detector.onnx --score 0.64
    """
    facts = _read_card(card)

    from tombola.export.run import export_run

    check_run(run)
    report = export_run(
        run,
        output,
        weights=weights,
        half=not full,
        score_threshold=score,
        facts=facts,
        photos=photos or (),
    )
    typer.echo("\n".join(_lines(report, terminal_columns())))


def _read_card(path: Path | None) -> dict[str, Any]:
    import tomllib
    from json import dumps

    from tombola.train.recipe.text_file import read_text

    if path is None:
        return {}
    try:
        facts = tomllib.loads(read_text(path, MOST_CARD_BYTES))
    except FileNotFoundError:
        raise ExportError(f"--card {path} does not exist; check the path") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"--card {path} is not valid TOML: {error}") from None
    try:
        dumps(facts, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ExportError(
            f"--card {path} holds a date, NaN or infinity, which no card can; put it in quotes"
        ) from None
    return facts


def _lines(report: "ExportReport", columns: int | None) -> list[str]:
    areas = sorted((one.size_hw for one in report.parity.comparisons), key=prod)
    low, high = ("×".join(map(str, reversed(size_hw))) for size_hw in (areas[0], areas[-1]))
    parity = (
        f"Answers as PyTorch does: {report.parity.count:,} {report.parity.counted} compared, on pictures "
        f"from {low} to {high} px: {_worst(report.parity)}."
    )
    facts = wrap(parity, columns=columns)
    if report.rounding is not None:
        tipped = report.rounding.undecided
        more = f"; in {counted(tipped, 'answer')} another choice was made" if tipped else ""
        rounding = (
            f"Weights rounded to float16 against those trained: {report.rounding.count:,} "
            f"{report.rounding.counted} compared: {_worst(report.rounding)}{more}."
        )
        facts += wrap(rounding, columns=columns)
    probes = f"Carries {counted(len(report.contract.probes), 'small probe')} for `tombola verify`."
    parts = [(one.name, f"{one.weights:,}", size_text(one.nbytes)) for one in report.parts]
    return [
        *table(("part", "weights", "size"), parts, "<>>", columns=columns),
        "",
        *facts,
        *wrap(probes, columns=columns),
        f"{report.path}: {size_text(report.nbytes)}",
        f"Next: tombola {report.contract.task} photo.jpg --model {quote(str(report.path))} --save out",
    ]


def _worst(parity: "Parity") -> str:
    return ", ".join(f"{one.things} within {one.value:.1g} {one.unit}".rstrip() for one in parity.worst)
