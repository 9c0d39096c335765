"""`tombola webcam`: a camera's picture with answers, in a window or into a file."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.ask.streams import note, stop_signals_like_ctrl_c
from tombola.cli.options import Device, DeviceOption, ModelOption, ScoreOption, ThreadsOption
from tombola.cli.shipped import model_or_shipped
from tombola.cli.table import counted
from tombola.cli.tasks import TASKS
from tombola.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.model import Answer, Model


def webcam(
    camera: Annotated[
        int, typer.Option("--camera", "-c", min=0, metavar="N", help="Which camera, from 0.")
    ] = 0,
    model: ModelOption = None,
    score: ScoreOption = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", "-s", metavar="FILE", help="Record to this video instead of showing a window."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", min=0.1, metavar="T", help="Stop after this time.", show_default="Ctrl-C or q"
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
) -> None:
    """Show what a camera sees, with names and frames a second.

    A detector draws boxes; a classifier writes the name of what it sees in the corner; a captioner writes
    a sentence at the lower edge, and no picture waits for it; of an autoencoder, what it makes of the
    picture stands beside it.

    Always the newest frame: a slow model skips frames and never lags. In the window q quits and s saves
    the picture to the current folder. Where there is no display, --save records to a video file.

    \b
    Example:
      tombola webcam
      tombola webcam --save seen.mp4 --seconds 10
    """
    from tombola.runtime.load import load
    from tombola.runtime.moving.camera import Camera
    from tombola.runtime.moving.recording import record, until
    from tombola.runtime.moving.video_writer import check_video_target, plays_in_browsers
    from tombola.runtime.moving.window import check_display, show

    if save is None:
        check_display()
    else:
        check_video_target(save)
    with stop_signals_like_ctrl_c():
        loaded = load(model_or_shipped(model), device.value, threads)
        with _answers(loaded, score) as answer, Camera(camera) as frames:
            if save is None:
                shown = show(until(frames, seconds), answer)
                typer.echo(f"{counted(shown, 'frame')} shown on {loaded.device}")
                return
            done = record(until(frames, seconds), save, answer)
            typer.echo(
                f"{save}: {done.duration_s:.1f} s, {counted(done.frames, 'frame')} seen on {loaded.device}"
            )
            if not plays_in_browsers(save):
                note(f"{save} does not play in a browser; a name that ends in .webm does")


def _answers(
    model: "Model", score: float | None
) -> "AbstractContextManager[Callable[[NDArray[np.uint8]], Answer]]":
    """The answer to a frame; of tasks that take long, one that no frame waits for."""
    from tombola.runtime.moving.aside import Aside

    answer = _answer(model, score)
    return Aside(answer) if TASKS[model.contract.task].is_slow else nullcontext(answer)


def _answer(model: "Model", score: float | None) -> "Callable[[NDArray[np.uint8]], Answer]":
    from tombola.runtime.tasks.generate.model import Generator
    from tombola.runtime.tasks.signature import IMAGE

    task, signature = model.contract.task, model.contract.signature
    if isinstance(model, Generator) and model.can_encode and score is None:
        return model
    if signature.inputs != (IMAGE,):
        raise ModelError(f"a camera gives pictures, and a model of the task {task} takes something else.")
    if score is not None and not any(spec.name == "score_threshold" for spec in signature.optional_inputs):
        raise ModelError(
            f"--score {score:g}: is for detectors, and the model is a {TASKS[task].noun}; leave it out."
        )
    options = signature.option_feeds({"score_threshold": score})
    return lambda image_rgb_u8: model.answer({"image": image_rgb_u8, **options})
