"""Every source of a command answered in its turn: pictures, videos, and those that cannot be read.

What `tombola detect` and `tombola classify` do alike; how an answer is told is their `Telling`.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, Literal

import typer

from tombola.cli.ask.asking import Answered, AnswerT, Asked
from tombola.cli.ask.saving import SaveFolder
from tombola.cli.ask.streams import note, stop_signals_like_ctrl_c
from tombola.cli.options import Device
from tombola.cli.polite import complain
from tombola.cli.shipped import model_or_shipped
from tombola.cli.table import GAP, counted, one_line, shorten, terminal_columns
from tombola.errors import OutputError, PictureError
from tombola.terminal_line import TerminalLine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.load import Task
    from tombola.runtime.model import Model
    from tombola.runtime.moving.read_ahead import ReadAhead
    from tombola.runtime.moving.sources import Expansion, Source

NAMES_SHOWN = 5

# What stands on stdout: tables for people, a line of JSON an answer, or only what something beside prints.
Form = Literal["table", "json", "beside"]


@dataclass(frozen=True)
class _Job(Generic[AnswerT]):
    """What is the same for every source."""

    asked: Asked[AnswerT]
    folder: SaveFolder | None
    form: "Form"
    webm: bool
    columns: int | None
    max_pixels: int
    pictures: "ReadAhead"
    not_for_browsers: list[Path] = field(default_factory=list)


def answer_sources(
    sources: Sequence[str],
    task: "Task",
    ask: Callable[[Any, list[Path]], Asked[AnswerT]],
    *,
    model: Path | None,
    save: Path | None,
    form: Form,
    device: Device,
    threads: int | None,
    max_pixels: int | None,
    webm: bool,
    hint: str,
    whole: bool,
) -> None:
    """Answer each source and print it; a bad one is named on stderr and makes the exit code 1.

    model: the file, which is opened once, and not at all where no source can be read; None is the one of the
    task that ships. ask: is given it, loaded, and all paths. hint: what --save would show.
    whole: pictures are wanted in full, for more than the model's answer.
    """
    # numpy starts a thread for each core to multiply matrices; nothing here does, and they cost 40 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with stop_signals_like_ctrl_c():
        from tombola.runtime.load import check_model
        from tombola.runtime.moving.read_ahead import ReadAhead
        from tombola.runtime.pictures.picture import MAX_PIXELS

        found, failed = _expand(sources)
        done = 0
        if found:
            limit = MAX_PIXELS if max_pixels is None else max_pixels
            file = check_model(model_or_shipped(model, task), task=task)
            files = _files(found, takes_clips="frames" in file.contract.more_inputs)
            # OpenCV is imported and the first picture read while onnxruntime opens the model.
            shrink = None if whole or save is not None else file.contract.shrink
            read_ahead = [file for file in files if file.kind in ("picture", "stdin")]
            pictures = ReadAhead(read_ahead, limit, shrink)
            paths = [file.path for file in files]
            job = _Job(
                asked=ask(file.open(device.value, threads), paths),
                folder=None if save is None else SaveFolder(save, paths),
                form=form,
                webm=webm,
                columns=terminal_columns(),
                max_pixels=limit,
                pictures=pictures,
            )
            _warn_of_idle_gpu(job.asked.model, device)
            done = sum(_try_one(job, file) for file in files)
            failed += len(files) - done
            for beside in job.asked.besides:
                beside.end()
            _tell_of_browsers(job.not_for_browsers)
            _say_at_end(done, failed, form, "" if save else hint)
    if failed:
        raise typer.Exit(1)


def _expand(sources: Sequence[str]) -> tuple[dict[str, "Expansion"], int]:
    """What each source stands for, and how many stand for nothing.

    What a folder or pattern holds beside is named on stderr.
    """
    from tombola.runtime.moving.sources import expand

    expansions: dict[str, Expansion] = {}
    failed = 0
    for source in sources:
        try:
            found = expand(source)
        except PictureError as error:
            complain(error)
            failed += 1
            continue
        expansions[source] = found
        if found.passed_over:
            note(f"{source}: passed over {_listed(found.passed_over)}")
    return expansions, failed


def _files(expansions: dict[str, "Expansion"], *, takes_clips: bool) -> list["Source"]:
    """The files that the sources stand for, each once."""
    files = (
        file
        for name, found in expansions.items()
        for file in (found.as_clips(name) if takes_clips else found.sources)
    )
    return list(dict.fromkeys(files))


def _listed(paths: Sequence[Path]) -> str:
    """`2 files (a.txt, b.pdf) and 1 folder (c)`; of many, the first few."""
    parts = []
    for thing, is_folder in (("file", False), ("folder", True)):
        names = [path.name for path in paths if os.path.isdir(path) is is_folder]  # noqa: PTH112
        if names:
            shown = ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")
            parts.append(f"{counted(len(names), thing)} ({shown})")
    return " and ".join(parts)


def _try_one(job: _Job[AnswerT], file: "Source") -> bool:
    """Whether it could be done; if not, the reason is on stderr."""
    try:
        if file.kind == "clip":
            _one_clip(job, file.path)
        elif file.kind == "video":
            _one_video(job, file.path)
        else:
            _one_picture(job, file)
    except (PictureError, OutputError) as error:
        complain(error)
        return False
    except MemoryError:
        complain(f"{file.path}: is larger than the memory that is free")
        return False
    return True


def _one_picture(job: _Job[AnswerT], file: "Source") -> None:
    picture = job.pictures.take()
    image_rgb_u8 = picture.image_rgb_u8
    started = perf_counter()
    answer = job.asked.answer(picture, file.path)
    latency_ms = (perf_counter() - started) * 1000
    named = Path("stdin") if file.kind == "stdin" else file.path
    speed = f"{latency_ms:.{0 if latency_ms >= 10 else 1}f} ms on {job.asked.model.device}"
    _tell_one(job, file.path, named, image_rgb_u8, answer, speed)


def _one_clip(job: _Job[AnswerT], path: Path) -> None:
    if str(path) == "-":
        raise PictureError("-: a clip cannot come on stdin; save it to a file and name that.")
    started = perf_counter()
    clip = job.asked.model.read_clip(path, max_pixels=job.max_pixels)
    answer = job.asked.answer(clip, path)
    latency_ms = (perf_counter() - started) * 1000
    speed = f"{latency_ms:.0f} ms on {job.asked.model.device}, reading included"
    film_rgb_u8 = clip.frames_rgb_u8.transpose(1, 0, 2, 3).reshape(clip.frames_rgb_u8.shape[1], -1, 3)
    _tell_one(job, path, path.with_suffix(".png"), film_rgb_u8, answer, speed)


def _tell_one(
    job: _Job[AnswerT],
    path: Path,
    named: Path,
    image_rgb_u8: "NDArray[np.uint8]",
    answer: AnswerT,
    speed: str,
) -> None:
    """named: what the annotated copy is called after."""
    saved = None
    if job.folder is not None:
        from tombola.runtime.pictures.output import PICTURE_OPTIONS, save_picture

        suffix = named.suffix if named.suffix.lower() in PICTURE_OPTIONS else ".png"
        place = job.folder.place(named.stem, suffix)
        saved = save_picture(job.asked.telling.draw(image_rgb_u8, answer), place)
    more = _do_besides(job, Answered(path, None, image_rgb_u8, answer, saved))
    if job.form == "json":
        typer.echo(_json_line(job, path, answer, ({"saved": str(saved)} if saved else {}) | more))
    if job.form != "table":
        return
    lines = job.asked.telling.lines(answer, job.columns)
    headline = _headline(path, answer.size_hw, job.asked.telling.headline(answer), speed, saved)
    typer.echo("\n".join([headline, *lines]))


def _one_video(job: _Job[AnswerT], path: Path) -> None:
    from tombola.runtime.clips.video import Video
    from tombola.runtime.moving.video import annotate_video
    from tombola.runtime.moving.video_writer import CODECS, plays_in_browsers

    started = perf_counter()
    tally = job.asked.telling.tally()
    progress = TerminalLine(every_s=0.0)
    frames, size_hw = 0, (0, 0)
    saved: Path | None = None
    newest_rgb_u8: NDArray[np.uint8]

    def answer_frame(image_rgb_u8: "NDArray[np.uint8]") -> AnswerT:
        nonlocal newest_rgb_u8
        newest_rgb_u8 = image_rgb_u8
        return job.asked.answer(image_rgb_u8, path)

    def on_frame(index: int, count: int, answer: AnswerT) -> None:
        nonlocal frames, size_hw
        frames, size_hw = frames + 1, answer.size_hw
        tally.add(answer)
        more = _do_besides(job, Answered(path, index, newest_rgb_u8, answer, saved))
        if job.form == "json":
            typer.echo(_json_line(job, path, answer, {"frame": index} | more))
        else:
            of_all = f" of {count}" if count else ""
            progress.show(shorten(one_line(f"{path.name}: frame {index + 1}{of_all}"), 60))

    fault = None
    try:
        if job.folder is not None:
            suffix = ".webm" if job.webm else path.suffix if path.suffix.lower() in CODECS else ".mp4"
            saved = job.folder.place(path.stem, suffix)
            annotate_video(path, saved, answer_frame, on_frame=on_frame, max_pixels=job.max_pixels)
        else:
            with Video(path, max_pixels=job.max_pixels) as video:
                for index, image_rgb_u8 in enumerate(video):
                    on_frame(index, video.frame_count, answer_frame(image_rgb_u8))
    except PictureError as error:
        if frames == 0:
            raise
        fault = error  # what could be read is told first
    finally:
        progress.clear()
    if saved and not plays_in_browsers(saved):
        job.not_for_browsers.append(saved)
    if job.form == "table":
        rate = frames / (perf_counter() - started)
        speed = f"{rate:.1f} frames/s on {job.asked.model.device}"
        headline = _headline(path, size_hw, counted(frames, "frame"), speed, saved)
        if saved:
            headline += ", without sound"
        typer.echo("\n".join([headline, *tally.lines(job.columns)]))
    if fault is not None:
        raise fault


def _headline(source: Path, size_hw: tuple[int, int], what: str, speed: str, saved: Path | None) -> str:
    parts = [one_line(str(source)), f"{size_hw[1]}×{size_hw[0]}", one_line(what), speed]
    return GAP.join(parts + ([f"-> {one_line(str(saved))}"] if saved else []))


def _json_line(job: _Job[AnswerT], source: Path, answer: AnswerT, more: dict[str, object]) -> str:
    """One line of JSON: the source, what is in `more`, and the answer.

    ASCII only, so that any file name passes any pipe.
    """
    from json import dumps

    return dumps({"source": str(source), **more, **job.asked.telling.facts(answer)})


def _warn_of_idle_gpu(model: "Model", asked: Device) -> None:
    from tombola.runtime.session import cuda

    if asked is Device.auto and model.device == "cpu" and cuda.has_driver():
        note(f"{model.device_note}; `tombola doctor` says what to do")


def _tell_of_browsers(paths: Sequence[Path]) -> None:
    if paths:
        more = f" and {len(paths) - 1} more do" if len(paths) > 1 else " does"
        note(f"{paths[0]}{more} not play in a browser; with --webm it would, written more slowly")


def _do_besides(job: _Job[AnswerT], told: Answered[AnswerT]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for beside in job.asked.besides:
        facts |= beside.add(told)
    return facts


def _say_at_end(done: int, failed: int, form: Form, hint: str) -> None:
    if form != "table" or done + failed > 1:
        typer.echo(f"{done} done, {failed} failed", err=form != "table")
    if hint and done and form == "table" and sys.stdout.isatty():
        typer.echo(hint)
