"""`tombola detect`: things in pictures and videos, as a table, as JSON, as annotated copies."""

from typing import TYPE_CHECKING

from tombola.cli.ask.answering import Asked, answer_sources
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
)
from tombola.cli.shipped import model_or_shipped

if TYPE_CHECKING:
    from tombola.runtime.tasks.detect.answer import Detections


def detect(
    sources: SourcesArgument,
    model: ModelOption = None,
    score: ScoreOption = None,
    iou: IouOption = None,
    most: MaxOption = None,
    save: SaveOption = None,
    json: JsonLinesOption = False,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
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

    def open_model() -> Asked["Detections"]:
        from tombola.runtime.load import load

        detector = load(model_or_shipped(model, "detect"), device.value, threads, task="detect")
        return Asked(
            detector,
            lambda image_rgb_u8: detector(
                image_rgb_u8, score_threshold=score, iou_threshold=iou, max_detections=most
            ),
            DetectTelling(),
        )

    answer_sources(
        sources,
        open_model,
        save=save,
        json=json,
        device=device,
        max_pixels=max_pixels,
        hint="To see the boxes, write annotated copies: add --save out",
    )
