"""`tombola caption`: pictures and videos in words, as a sentence, as JSON, as annotated copies."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.ask.answering import answer_sources
from tombola.cli.ask.asking import Asked
from tombola.cli.ask.attention_folder import AttentionFolder
from tombola.cli.ask.caption_print import CaptionTelling
from tombola.cli.options import (
    Device,
    DeviceOption,
    JsonLinesOption,
    MaxPixelsOption,
    ModelOption,
    SaveOption,
    SourcesArgument,
    ThreadsOption,
    WebmOption,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.tasks.caption.answer import Captions
    from tombola.runtime.tasks.caption.model import Captioner


def caption(
    sources: SourcesArgument,
    model: ModelOption = None,
    beam: Annotated[
        int | None,
        typer.Option(
            "--beam",
            "-b",
            min=1,
            max=100,
            metavar="N",
            help="Follow this many captions at a time; 1 is fastest.",
            show_default="the model's own",
        ),
    ] = None,
    alternatives: Annotated[
        int,
        typer.Option("--alternatives", "-k", min=0, max=99, metavar="N", help="Show the N next best, too."),
    ] = 0,
    max_length: Annotated[
        int | None,
        typer.Option(
            "--max-length",
            min=1,
            max=200,
            metavar="N",
            help="Words at most, the end counted.",
            show_default="the model's own",
        ),
    ] = None,
    no_repeat: Annotated[
        int | None,
        typer.Option(
            "--no-repeat",
            min=0,
            max=200,
            metavar="N",
            help="Say no N words in a row twice; 0 forbids nothing.",
            show_default="the model's own",
        ),
    ] = None,
    attention: Annotated[
        Path | None,
        typer.Option(
            "--attention", metavar="DIR", help="Write to this folder where each word looked, as a picture."
        ),
    ] = None,
    save: SaveOption = None,
    webm: WebmOption = False,
    json: JsonLinesOption = False,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Say in words what pictures and videos show.

    Prints the best caption of each picture and its score; of a video, how many frames each caption was the
    best of. A model that looks at clips is given each animated picture, video or folder of frames as a
    whole; its frames beside each other are what --save and --attention draw on. Writes nothing unless one of
    these names a folder. A source that cannot be read is named on stderr, the others are done, and the exit
    code is 1.

    \b
    Example:
      tombola caption photo.jpg
      tombola caption photo.jpg --beam 5 --alternatives 4
      tombola caption photos/ --model captioner.onnx --attention out --json
    """
    beam = None if beam is None else max(beam, alternatives + 1)

    def ask(captioner: "Captioner", paths: list[Path]) -> Asked["Captions"]:
        wanted = beam
        if wanted is None and alternatives >= captioner.contract.defaults["beam_size"]:
            wanted = alternatives + 1
        answer = partial(captioner, beam_size=wanted, max_length=max_length, no_repeat=no_repeat)
        besides = [] if attention is None else [AttentionFolder(attention, paths, _sheet)]
        return Asked(captioner, lambda picture, _: answer(picture), CaptionTelling(alternatives), besides)

    answer_sources(
        sources,
        "caption",
        ask,
        model=model,
        save=save,
        form="json" if json else "table",
        device=device,
        threads=threads,
        max_pixels=max_pixels,
        webm=webm,
        hint="To see where each word looked: add --attention out",
        whole=attention is not None,
    )


def _sheet(image_rgb_u8: "NDArray[np.uint8]", answer: "Captions") -> "NDArray[np.uint8]":
    from tombola.runtime.tasks.caption.draw import attention_sheet, film_sheet

    sheet = attention_sheet if answer.places is None else film_sheet
    return sheet(image_rgb_u8, answer)
