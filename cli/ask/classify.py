"""`tombola classify`: what pictures and videos show, as a table, as JSON, as annotated copies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.ask.answering import answer_sources
from tombola.cli.ask.asking import Asked
from tombola.cli.ask.attention_folder import AttentionFolder
from tombola.cli.ask.classify_print import ClassifyTelling
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
from tombola.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.tasks.classify.answer import Classification
    from tombola.runtime.tasks.classify.model import Classifier


def classify(
    sources: SourcesArgument,
    model: ModelOption = None,
    top: Annotated[
        int, typer.Option("--top", "-k", min=1, metavar="K", help="Show this many classes, best first.")
    ] = 3,
    attention: Annotated[
        Path | None,
        typer.Option(
            "--attention", metavar="DIR", help="Write to this folder where the model looked, as a picture."
        ),
    ] = None,
    save: SaveOption = None,
    webm: WebmOption = False,
    json: JsonLinesOption = False,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Say what pictures and videos show.

    Prints the most probable classes of each picture; of a video, how many frames each class was the
    best of. A model that looks at clips is given each animated picture, video or folder of frames as a
    whole, and names it, or each of its frames. Writes nothing unless --save or --attention names a folder;
    where a model looked, those tell alone that were trained to. A source that cannot be read is named on
    stderr, the others are done, and the exit code is 1.

    \b
    Example:
      tombola classify photo.jpg
      tombola classify photo.jpg --top 1 --save out
      tombola classify photos/ clip.mp4 --top 5 --json
      tombola classify clip.gif --model clips.onnx
    """

    def ask(classifier: "Classifier", paths: list[Path]) -> Asked["Classification"]:
        if attention is not None and "attention" not in classifier.contract.more_outputs:
            raise ModelError(
                "--attention: the model does not tell where it looks; train one with "
                'network.pooling = "attention", or leave the option out.'
            )
        besides = [] if attention is None else [AttentionFolder(attention, paths, _looked)]
        return Asked(classifier, lambda source, _: classifier(source), ClassifyTelling(top), besides)

    answer_sources(
        sources,
        "classify",
        ask,
        model=model,
        save=save,
        form="json" if json else "table",
        device=device,
        threads=threads,
        max_pixels=max_pixels,
        webm=webm,
        hint="To have the names on the pictures, write annotated copies: add --save out",
        whole=attention is not None,
    )


def _looked(image_rgb_u8: "NDArray[np.uint8]", answer: "Classification") -> "NDArray[np.uint8]":
    from tombola.runtime.tasks.classify.draw import draw_attention

    return draw_attention(image_rgb_u8, answer)
