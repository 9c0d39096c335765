"""`tombola detect`: things in pictures and videos, as a table, as JSON, as annotated copies."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tombola.cli.detect_print import VideoTally, json_line, picture_lines, video_lines
from tombola.cli.options import (
    Device,
    DeviceOption,
    IouOption,
    MaxOption,
    ModelOption,
    ScoreOption,
    ThreadsOption,
)
from tombola.cli.polite import complain
from tombola.cli.saving import SaveFolder
from tombola.cli.shipped import model_or_shipped
from tombola.cli.table import one_line, shorten, terminal_columns
from tombola.errors import OutputError, PictureError

if TYPE_CHECKING:
    from tombola.cli.read_ahead import ReadAhead
    from tombola.runtime.detections import Detections
    from tombola.runtime.detector import Detector
    from tombola.runtime.sources import Source


def detect(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Pictures, videos, folders, patterns.", show_default=False),
    ],
    model: ModelOption = None,
    score: ScoreOption = None,
    iou: IouOption = None,
    most: MaxOption = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", "-s", metavar="DIR", help="Write copies with the boxes drawn in to this folder."
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each picture or video frame.")
    ] = False,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            "--max-pixels", min=1, metavar="N", help="Refuse larger pictures.", show_default="100 million"
        ),
    ] = None,
) -> None:
    """Find things in pictures and videos.

    Prints a table of what was found, boxes as x1 y1 x2 y2 in the picture's own pixels. Writes nothing
    unless --save names a folder for annotated copies. A source that cannot be read is named on stderr,
    the others are done, and the exit code is 1.

    \b
    Example:
      tombola detect photo.jpg
      tombola detect photo.jpg --save out
      tombola detect photos/ clip.mp4 --score 0.7 --json
    """
    # numpy starts a thread for each core to multiply matrices; nothing here does, and they cost 40 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from tombola.cli.read_ahead import ReadAhead
    from tombola.runtime.load import load
    from tombola.runtime.picture import MAX_PIXELS

    files, failed = _expand(sources)
    if files:
        limit = MAX_PIXELS if max_pixels is None else max_pixels
        # The first picture is read while the model is loaded.
        pictures = ReadAhead([file.path for file in files if file.kind == "picture"], limit)
        job = _Job(
            detector=load(model_or_shipped(model), device.value, threads, task="detect"),
            options={"score_threshold": score, "iou_threshold": iou, "max_detections": most},
            folder=None if save is None else SaveFolder(save, [file.path for file in files]),
            json=json,
            columns=terminal_columns(),
            pictures=pictures,
        )
        _warn_of_idle_gpu(job.detector, device)
        done = sum(_try_one(job, file) for file in files)
        failed += len(files) - done
        if not json:
            _say_at_end(done, failed, save)
    if failed:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Job:
    """What is the same for every source."""

    detector: "Detector"
    options: dict[str, Any]
    folder: SaveFolder | None
    json: bool
    columns: int | None
    pictures: "ReadAhead"


def _expand(sources: Sequence[str]) -> tuple[list["Source"], int]:
    """The files that the sources stand for, each once, and how many sources stand for none."""
    from tombola.runtime.sources import expand

    files: list[Source] = []
    failed = 0
    for source in sources:
        try:
            files += expand(source)
        except PictureError as error:
            complain(error)
            failed += 1
    return list(dict.fromkeys(files)), failed


def _try_one(job: _Job, file: "Source") -> bool:
    """Whether it could be done; if not, the reason is on stderr."""
    try:
        (_one_video if file.kind == "video" else _one_picture)(job, file.path)
    except (PictureError, OutputError) as error:
        complain(error)
        return False
    return True


def _one_picture(job: _Job, path: Path) -> None:
    image_rgb_u8 = job.pictures.take()
    started = perf_counter()
    detections = job.detector(image_rgb_u8, **job.options)
    latency_ms = (perf_counter() - started) * 1000
    saved = None
    if job.folder is not None:
        from tombola.runtime.output import PICTURE_OPTIONS, save_picture

        suffix = path.suffix if path.suffix.lower() in PICTURE_OPTIONS else ".png"
        saved = save_picture(detections.draw(image_rgb_u8), job.folder.place(path, suffix))
    if job.json:
        typer.echo(json_line(path, detections, {} if saved is None else {"saved": str(saved)}))
    else:
        speed = f"{latency_ms:.0f} ms on {job.detector.device}"
        typer.echo("\n".join(picture_lines(path, detections, speed, saved, job.columns)))


def _one_video(job: _Job, path: Path) -> None:
    from tombola.runtime.sources import Video
    from tombola.runtime.video import CODECS, annotate_video

    started = perf_counter()
    tally = VideoTally()

    def on_frame(index: int, count: int, detections: "Detections") -> None:
        tally.add(detections)
        if job.json:
            typer.echo(json_line(path, detections, {"frame": index}))
        else:
            _show_progress(f"{path.name}: frame {index + 1}" + (f" of {count}" if count else ""))

    saved = None
    try:
        if job.folder is not None:
            suffix = path.suffix if path.suffix.lower() in CODECS else ".mp4"
            saved = job.folder.place(path, suffix)
            annotate_video(path, saved, job.detector, **job.options, on_frame=on_frame)
        else:
            with Video(path) as video:
                for index, image_rgb_u8 in enumerate(video):
                    on_frame(index, video.frame_count, job.detector(image_rgb_u8, **job.options))
    finally:
        _show_progress("")
    if not job.json:
        rate = tally.frames / (perf_counter() - started)
        speed = f"{rate:.1f} frames/s on {job.detector.device}"
        typer.echo("\n".join(video_lines(path, tally, speed, saved, job.columns)))


def _show_progress(text: str) -> None:
    """Rewrite one line of the terminal; nothing where stderr is no terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{shorten(one_line(text), 60)}")
        sys.stderr.flush()


def _warn_of_idle_gpu(detector: "Detector", asked: Device) -> None:
    from tombola.runtime import cuda

    if asked is Device.auto and detector.device == "cpu" and cuda.has_driver():
        typer.echo(f"note: {one_line(detector.device_note)}; `tombola doctor` says what to do", err=True)


def _say_at_end(done: int, failed: int, save: Path | None) -> None:
    if done + failed > 1:
        typer.echo(f"{done} done, {failed} failed")
    if save is None and done and sys.stdout.isatty():
        typer.echo("To see the boxes, write annotated copies: add --save out")
