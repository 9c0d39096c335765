"""`tombola detect`: things in pictures and videos, as a table, as JSON, as annotated copies."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tombola.cli.ask.answering import answer_sources
from tombola.cli.ask.asking import Asked, Beside
from tombola.cli.ask.besides import CropFolder, Format, TilesHint, format_writer
from tombola.cli.ask.detect_print import DetectTelling
from tombola.cli.options import (
    Device,
    DeviceOption,
    IouOption,
    JsonLinesOption,
    MaxOption,
    MaxPixelsOption,
    ModelOption,
    SaveOption,
    ScoreOption,
    SourcesArgument,
    ThreadsOption,
    WebmOption,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.tasks.detect.answer import Detections
    from tombola.runtime.tasks.detect.model import Detector


def detect(
    sources: SourcesArgument,
    model: ModelOption = None,
    score: ScoreOption = None,
    iou: IouOption = None,
    most: MaxOption = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--classes", metavar="A,B", help="Show these classes only.", show_default="all"),
    ] = None,
    tiles: Annotated[
        bool,
        typer.Option("--tiles", help="Look at pieces of the picture too: for panoramas and small things."),
    ] = False,
    proposals: Annotated[
        Path | None,
        typer.Option(
            "--proposals",
            metavar="FILE",
            help="Boxes for a Fast R-CNN to judge, as `data propose` writes them.",
            show_default=False,
        ),
    ] = None,
    save: SaveOption = None,
    webm: WebmOption = False,
    crops: Annotated[
        Path | None,
        typer.Option(
            "--crops", metavar="DIR", help="Write each thing as a picture, in a folder for its class."
        ),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Print COCO's JSON or CSV instead of tables; or write YOLO's .txt files to --save.",
            show_default="tables",
        ),
    ] = None,
    json: JsonLinesOption = False,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Find things in pictures and videos.

    Prints a table of what was found, boxes as x1 y1 x2 y2 in the picture's own pixels. Writes nothing
    unless --save names a folder for annotated copies. A source that cannot be read is named on stderr,
    the others are done, and the exit code is 1. The source - is a picture on stdin.

    \b
    Example:
      tombola detect photo.jpg
      tombola detect photo.jpg --save out
      tombola detect photos/ clip.mp4 --score 0.7 --json
      tombola detect photo.jpg --classes cat,dog --crops pets --format csv
    """

    if json and form is not None:
        raise typer.BadParameter("cannot be given with --format; leave one out", param_hint="--json")
    if form is Format.yolo and save is None:
        raise typer.BadParameter(
            "yolo is a file for each picture: name their folder by --save DIR", param_hint="--format"
        )

    if proposals is not None and tiles:
        raise typer.BadParameter("cannot be given with --proposals; leave one out", param_hint="--tiles")

    def ask(detector: "Detector", paths: list[Path]) -> Asked["Detections"]:
        from tombola.runtime.tasks.detect.question import Question

        besides: list[Beside[Detections]] = []
        if form is not None:
            besides.append(format_writer(form, detector.labels))
        if crops is not None:
            besides.append(CropFolder(crops, paths))
        input_px = _input_px(detector.contract.card)
        if input_px and not tiles:
            besides.append(TilesHint(input_px))
        question = Question(_names(classes), score, iou, most, input_px if tiles else None)
        answer = question.of(detector)
        if proposals is None:
            return Asked(detector, lambda picture, _: answer(picture), DetectTelling(), besides)
        given = _proposals(proposals)
        return Asked(detector, lambda picture, path: answer(picture, given(path)), DetectTelling(), besides)

    answer_sources(
        sources,
        "detect",
        ask,
        model=model,
        save=save,
        form="json" if json else "table" if form in (None, Format.yolo) else "beside",
        device=device,
        threads=threads,
        max_pixels=max_pixels,
        webm=webm,
        hint="To see the boxes, write annotated copies: add --save out",
        whole=tiles or crops is not None,
    )


def _proposals(file: Path) -> "Callable[[Path], NDArray[np.float32]]":
    """Those that the file has of the picture at a path: under its name, or that with folders before it."""
    from tombola.errors import PictureError
    from tombola.train.regions.proposals_file import read_proposals

    boxes = read_proposals(file)

    def of(path: Path) -> "NDArray[np.float32]":
        parts = path.parts
        for first in range(len(parts)):
            if (name := "/".join(parts[first:])) in boxes:
                return boxes[name]
        raise PictureError(f"{path}: {file} has no proposals of it; `tombola data propose` makes them")

    return of


def _input_px(card: Mapping[str, Any]) -> int:
    """The longer side of what the network sees, in pixels, 0 where the card does not tell."""
    sides = card.get("input_size_hw")
    return max((side for side in sides if isinstance(side, int)), default=0) if isinstance(sides, list) else 0


def _names(classes: list[str] | None) -> list[str]:
    return [name.strip() for part in classes or () for name in part.split(",") if name.strip()]
