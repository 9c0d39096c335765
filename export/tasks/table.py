"""The tasks that can be exported: what is different from task to task, a row for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tombola.export.exportable import Exportable
from tombola.export.parity.clips import ClipAsking
from tombola.export.parity.question import Asking, Photo, PictureAsking
from tombola.export.tasks.caption import answers as caption_answers
from tombola.export.tasks.caption import exportable as caption
from tombola.export.tasks.caption.asking import CaptionAsking, ClipCaptionAsking
from tombola.export.tasks.classify import answers as classify_answers
from tombola.export.tasks.classify import exportable as classify
from tombola.export.tasks.detect import answers as detect_answers
from tombola.export.tasks.detect import exportable as detect
from tombola.export.tasks.detect.asking import DetectAsking
from tombola.export.tasks.generate import exportable as generate
from tombola.export.tasks.generate.asking import asking_of
from tombola.runtime.contract.contract import Contract


@dataclass(frozen=True)
class ExportTask:
    """One task, as `tombola export` sees it.

    file_name:  of the file, where none is named.
    exportable: the network of a run, and its recipe -> what is exported.
    photos:     its recipe -> a few pictures for parity and probes, none where they are not to be had.
    asking:     what a file of the task may be asked, by what it says about itself.
    answers:    a loaded file -> the function that `tombola.train.evaluate.evaluate_model` scores;
                None where no answer is the right one.
    """

    file_name: str
    exportable: Callable[[Any, Any], Exportable]
    photos: Callable[[Any], Sequence[Photo]]
    asking: Callable[[Contract], Asking]
    answers: Callable[[Any], Callable[..., Any]] | None = None


EXPORTS = {
    "detect": ExportTask(
        "detector.onnx",
        detect.of_recipe,
        detect.photos_of,
        lambda _: DetectAsking(),
        detect_answers.answers,
    ),
    "classify": ExportTask(
        "classifier.onnx",
        classify.of_recipe,
        classify.photos_of,
        lambda contract: ClipAsking() if contract.more_inputs else PictureAsking(),
        classify_answers.answers,
    ),
    "generate": ExportTask("generator.onnx", generate.of_recipe, generate.photos_of, asking_of),
    "caption": ExportTask(
        "captioner.onnx",
        caption.of_recipe,
        caption.photos_of,
        lambda contract: ClipCaptionAsking() if contract.more_inputs else CaptionAsking(),
        caption_answers.answers,
    ),
}
