"""`tombola bench`: how fast model files answer on this machine, side by side."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tombola.cli.data.check import FormatOption
from tombola.cli.model.bench_scores import common_task, draw, score_json, score_lines, score_models
from tombola.cli.options import (
    PICTURES_HELP,
    AnnotationsOption,
    Device,
    DeviceOption,
    FoldsOption,
    JsonOption,
    ThreadsOption,
)
from tombola.cli.sizes import count_text, size_text
from tombola.cli.table import counted, table, terminal_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.contract.contract import Contract
    from tombola.runtime.session.bench import BenchResult
    from tombola.runtime.tasks.difference import Arrays
    from tombola.train.evaluate import Scores

SIZES_WH = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}


def frame_size(text: str) -> tuple[int, int]:
    """(width, height) of "1080p" or "640x480"; a wrong one is a mistake in the command line."""
    if text.lower() in SIZES_WH:
        return SIZES_WH[text.lower()]
    written = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if written is None:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(SIZES_WH)} nor WIDTHxHEIGHT.")
    return int(written[1]), int(written[2])


def bench(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="The .onnx models to compare.", show_default=False)
    ],
    picture: Annotated[
        Path | None,
        typer.Option("--picture", "-p", metavar="P", help="Measure on this picture.", show_default="noise"),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="S",
            help=f"Size of the frame: {', '.join(SIZES_WH)} or WIDTHxHEIGHT.",
            show_default="the picture's, else 1080p",
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, metavar="N", help="Rounds of five calls a model.")
    ] = 10,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="Tell how many times as fast as this model the others are; repeatable, the first counts.",
            show_default="the first model",
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show instead how long each layer of one model takes.")
    ] = False,
    annotations: AnnotationsOption = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", metavar="P", help=f"Score the models, too. {PICTURES_HELP}")
    ] = None,
    folds: FoldsOption = None,
    format_: FormatOption = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="PNG", help="Draw the scores against milliseconds to this file."),
    ] = None,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Measure model files: latency, memory, size, multiplications.

    From a frame in memory to the answer; decoding a file is not counted. Each model has a process of its own,
    and they take turns, so that other load falls on all alike. `outside` is the share of time before and
    after the network itself; `MACs` are its multiply-accumulates for one answer. `speed` is the ratio of the
    medians, in brackets the middle 95 % of what other rounds like these would give. With labelled --pictures
    the models are scored on them as well.

    \b
    Example:
      tombola bench detector.onnx
      tombola bench pruned.onnx int8.onnx --against dense.onnx --picture photo.jpg
    """
    from tombola.runtime.session.bench import bench

    models = [*(against or ()), *files]
    task = ""
    if pictures is not None:
        task = common_task(models)
    elif annotations or folds or format_ or plot:
        raise typer.BadParameter(
            "--annotations, --fold, --format and --plot are of --pictures; name them too."
        )
    if plot is not None:
        from tombola.train.run.folder import check_place

        check_place(plot, ".png")
    size_wh = None if size is None else frame_size(size)
    image_rgb_u8 = None if picture is None else _frame(picture, size_wh)
    if image_rgb_u8 is None:
        width, height = size_wh or SIZES_WH["1080p"]
    else:
        height, width = image_rgb_u8.shape[:2]

    asked = f"{picture or 'noise'} of {width}×{height}"

    def feeds_of(contract: "Contract") -> "Arrays":
        nonlocal asked
        feeds = contract.example_feeds((height, width))
        if "latents" in feeds:
            if picture is not None or size is not None:
                raise typer.BadParameter("--picture and --size are not for generators; leave them out.")
            asked = f"{len(feeds['latents'])} pictures of latents at once"
        if image_rgb_u8 is None:
            return feeds
        if "image" not in feeds:
            raise typer.BadParameter("--picture is for models of single pictures; leave it out.")
        return {**feeds, "image": image_rgb_u8}

    if profile:
        if len(models) > 1 or json or pictures:
            raise typer.BadParameter(
                "--profile shows the layers of one model in a table; give one FILE alone, without --json or "
                "--pictures"
            )
        typer.echo("\n".join(_profile(models[0], feeds_of, device.value, threads)))
        return
    results = bench(models, feeds_of, device=device.value, threads=threads, rounds=rounds)
    scores: list[Scores] = []
    if pictures is not None:
        from tombola.train.evaluate import Named

        named = Named(pictures, annotations, format_, folds or ())
        scores = score_models(models, named, device.value, threads)
        if plot is not None:
            draw(plot, task, results, scores)
    if json:
        from json import dumps

        told = [_as_json(one, results[0], (height, width)) for one in results]
        if scores:
            told = [
                {**one, **score_json(task, own, scores[0])} for one, own in zip(told, scores, strict=True)
            ]
        typer.echo("\n".join(map(dumps, told)))
        return
    columns = terminal_columns()
    lines = [
        f"{asked} on {results[0].device}, "
        f"{counted(results[0].threads, 'thread')}, {len(results[0].latencies_ms)} calls each",
        *_speed_lines(results, columns),
        *(["", *score_lines(models, task, scores, columns)] if scores else []),
    ]
    typer.echo("\n".join(lines))


def _speed_lines(results: "Sequence[BenchResult]", columns: int | None) -> list[str]:
    header: tuple[str, ...] = ("model", "size", "weights", "MACs", "memory", "outside", "p50", "p95")
    rows: list[tuple[str, ...]] = [_row(one) for one in results]
    if len(results) > 1:
        header += ("speed",)
        rows = [(*row, _speed_text(one, results[0])) for row, one in zip(rows, results, strict=True)]
    return table(header, rows, "<" + ">" * (len(header) - 1), columns=columns)


def _profile(
    model: Path, feeds_of: "Callable[[Contract], Arrays]", device: str, threads: int | None
) -> list[str]:
    from tombola.cli.model.profile_print import profile_lines
    from tombola.runtime.load import load, read_model
    from tombola.runtime.session.profile import layer_times_ms

    loaded = load(model, device, threads)
    feeds = loaded.prepared(feeds_of(loaded.contract))
    times_ms = layer_times_ms(read_model(model)[1], feeds, loaded.device, threads)
    return profile_lines(times_ms, terminal_columns())


def _frame(picture: Path, size_wh: tuple[int, int] | None) -> "NDArray[np.uint8]":
    """The picture as image_rgb_u8 [height, width, 3], at the size asked for."""
    import numpy as np

    from tombola.runtime.pictures.picture import read_rgb

    image_rgb_u8 = read_rgb(picture)
    if size_wh is not None:
        import cv2

        image_rgb_u8 = np.asarray(cv2.resize(image_rgb_u8, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    return image_rgb_u8


def _row(one: "BenchResult") -> tuple[str, ...]:
    return (
        str(one.path),
        size_text(one.file_bytes),
        count_text(one.weights),
        count_text(one.macs),
        "-" if one.peak_memory_mib is None else f"{one.peak_memory_mib:.0f} MiB",
        f"{100 * one.outside_share:.0f} %",
        _latency_text(one.latency_p50_ms),
        _latency_text(one.latency_p95_ms),
    )


def _latency_text(latency_ms: float) -> str:
    return f"{latency_ms:.{1 if latency_ms >= 1 else 2}f} ms"


def _speed_text(one: "BenchResult", base: "BenchResult") -> str:
    from tombola.runtime.session.bench import speed

    if one is base:
        return "×1"
    found = speed(one.latencies_ms, base.latencies_ms)
    return f"×{found.ratio:.2f} ({found.low:.2f}…{found.high:.2f})"


def _as_json(one: "BenchResult", base: "BenchResult", size_hw: tuple[int, ...]) -> dict[str, Any]:
    from dataclasses import asdict

    from tombola.runtime.session.bench import speed

    figures = asdict(one)
    latencies_ms = figures.pop("latencies_ms")
    return {
        **figures,
        "path": str(one.path),
        "frame_size_hw": list(size_hw),
        "calls": len(latencies_ms),
        "latency_p50_ms": one.latency_p50_ms,
        "latency_p95_ms": one.latency_p95_ms,
        "throughput_fps": one.throughput_fps,
        "speed": asdict(speed(one.latencies_ms, base.latencies_ms)),
    }
