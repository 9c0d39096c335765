"""`tombola classify`: what pictures and videos show, as a table, as JSON, as annotated copies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.ask.answering import answer_sources
from tombola.cli.ask.asking import Asked
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

if TYPE_CHECKING:
    from tombola.runtime.tasks.classify.answer import Classification
    from tombola.runtime.tasks.classify.model import Classifier


def classify(
    sources: SourcesArgument,
    model: ModelOption = None,
    top: Annotated[
        int, typer.Option("--top", "-k", min=1, metavar="K", help="Show this many classes, best first.")
    ] = 3,
    save: SaveOption = None,
    webm: WebmOption = False,
    json: JsonLinesOption = False,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Say what pictures and videos show.

    Prints the most probable classes of each picture; of a video, how many frames each class was the
    best of. Writes nothing unless --save names a folder for annotated copies. A source that cannot be
    read is named on stderr, the others are done, and the exit code is 1.

    \b
    Example:
      tombola classify photo.jpg
      tombola classify photo.jpg --top 1 --save out
      tombola classify photos/ clip.mp4 --top 5 --json
    """

    def ask(classifier: "Classifier", _: list[Path]) -> Asked["Classification"]:
        return Asked(classifier, lambda picture, _: classifier(picture), ClassifyTelling(top))

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
        whole=False,
    )
