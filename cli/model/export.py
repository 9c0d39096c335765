"""`tombola export`: a run folder becomes one .onnx file."""

from enum import StrEnum
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tombola.cli.data.check import FormatOption
from tombola.cli.options import AnnotationsOption, AnswerOption, FoldsOption, PicturesOption
from tombola.cli.sizes import size_text
from tombola.cli.table import counted, table, terminal_columns, wrap
from tombola.cli.tasks import ask_command
from tombola.cli.training.run_path import check_run
from tombola.errors import ExportError

MOST_CARD_BYTES = 4_000_000

if TYPE_CHECKING:
    from tombola.export.export import ExportReport
    from tombola.export.parity.parity import Parity


class Precision(StrEnum):
    """What the network computes in."""

    float32 = "float32"
    int8 = "int8"
    fp16 = "fp16"


class ProcessorName(StrEnum):
    """What int8 is for."""

    x64 = "x64"
    avx2 = "x64-avx2"
    arm = "arm"


def export(
    source: Annotated[
        Path,
        typer.Argument(metavar="RUN_OR_FILE", help="The run folder; or an .onnx file.", show_default=False),
    ],
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
        str | None,
        typer.Option("--weights", metavar="W", help="best, last, initial or early-K.", show_default="best"),
    ] = None,
    changes: AnswerOption = None,
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
    precision: Annotated[
        Precision,
        typer.Option("--precision", help="What the network computes in; fp16 is for GPUs."),
    ] = Precision.float32,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            metavar="P",
            help="Of int8: fit it to the pictures of this folder or .tar, labelled or not; a "
            "generator that encodes, besides to drawn latents.",
            show_default="the run's pictures for training",
        ),
    ] = None,
    annotations: AnnotationsOption = None,
    pictures: PicturesOption = None,
    folds: FoldsOption = None,
    format_: FormatOption = None,
    processor: Annotated[
        ProcessorName | None,
        typer.Option(
            "--for",
            help="Of int8: the processors it is for; x64-avx2 are those without VNNI.",
            show_default="this one",
        ),
    ] = None,
    compress: Annotated[
        bool,
        typer.Option("--compress", help="Pack it by gzip, as .onnx.gz: small where most weights are 0."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write an int8 or fp16 file even if it is not faster here.")
    ] = False,
) -> None:
    """Export a run to one .onnx file: picture in, answer out.

    The file is compared with PyTorch on pictures of many sizes before it is written, and carries small
    pictures and their answers for `tombola verify`: yours by --photo, else three that the run kept for
    validation or test, else drawn ones.

    With --precision int8 the network computes in bytes: a quarter of the file and, on most processors, nearly
    twice as fast. The score before and after is measured on --pictures with their --annotations (those for
    validation, of a run), layers that cost too much stay in float, and a file that is not faster here is
    refused. An .onnx file that Tombola exported may be given in place of the run.

    With --compress the file is packed by gzip; Tombola runs it as it is, others after `gunzip`.

    \b
    Example:
      tombola export runs/first -o detector.onnx --score 0.64
      tombola export runs/first --precision int8
      tombola export detector.onnx --precision int8 --calibrate photos -o small.onnx
    """
    is_file = source.is_file() or source.suffix == ".onnx"
    if is_file and precision is Precision.float32 and not compress:
        raise typer.BadParameter(
            f"{source} is exported already; --precision or --compress makes another of it."
        )
    if is_file and (weights or changes or score is not None or photos or card or full):
        raise typer.BadParameter(
            "--weights, --set, --score, --photo, --card and --full-precision are of a run; a file keeps "
            "its own."
        )
    if is_file and output is None:
        raise typer.BadParameter("--output is missing: say where the new file is to be.")
    if is_file and compress and output is not None:
        output = output if output.suffix == ".gz" else output.with_name(f"{output.name}.gz")
    if precision is Precision.float32 and (calibrate or pictures or processor or force):
        raise typer.BadParameter(
            "--calibrate, --pictures, --for and --force are of --precision int8 or fp16."
        )
    if precision is Precision.fp16 and (calibrate or processor):
        raise typer.BadParameter("--calibrate and --for are of --precision int8.")
    if precision is not Precision.float32 and full:
        raise typer.BadParameter("--full-precision is of --precision float32; leave it out.")
    if pictures is None and (annotations or folds or format_):
        raise typer.BadParameter("--annotations, --fold and --format are of --pictures; name them too.")
    facts = _read_card(card)
    columns = terminal_columns()
    settings: dict[str, Any] = {
        "weights": weights or "best",
        "changes": (*(changes or ()), *([] if score is None else [f"answer.score_threshold={score}"])),
        "half": not full,
        "facts": facts,
        "photos": photos or (),
        "packed": compress,
    }
    if not is_file:
        check_run(source)
    if is_file and precision is Precision.float32:
        from tombola.export.writing import pack_file

        assert output is not None
        nbytes = pack_file(source, output)
        typer.echo(f"{output}: {size_text(nbytes)} against {size_text(source.stat().st_size)}")
        return
    if precision is Precision.float32:
        from tombola.export.run import export_run

        typer.echo("\n".join(_lines(export_run(source, output, **settings), columns)))
        return

    from tombola.cli.model.quantize_print import quantize_lines
    from tombola.export.quantize.processor import PROCESSORS
    from tombola.export.quantize.quantize import quantize_file
    from tombola.export.run import quantize_run
    from tombola.train.evaluate import Named

    reduced: dict[str, Any] = {
        "pictures": calibrate,
        "held_out": Named(pictures, annotations, format_, folds or ()) if pictures else None,
        "processor": PROCESSORS[processor.value] if processor else None,
        "force": force,
    }
    fewer: Literal["int8", "fp16"] = "int8" if precision is Precision.int8 else "fp16"
    if is_file:
        assert output is not None
        report = quantize_file(source, output, fewer, **reduced)
    else:
        report = quantize_run(source, output, fewer, **reduced, **settings)
    typer.echo("\n".join(quantize_lines(report, source, columns)))


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
        f"Next: {ask_command(report.contract, report.path)}",
    ]


def _worst(parity: "Parity") -> str:
    return ", ".join(f"{one.things} within {one.value:.1g} {one.unit}".rstrip() for one in parity.worst)
