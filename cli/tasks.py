"""The tasks that the command line knows: what is different from task to task, a row for each."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tombola.runtime.contract.contract import Contract

# A module and a name in it, imported when it is needed: all of them take longer than to detect in a picture.
Place = tuple[str, str]


@dataclass(frozen=True)
class TaskCommands:
    """One task, as the command line sees it.

    noun:     what a model of the task is called: "detector".
    command:  answers sources; `tombola` has it under the task's name.
    shipped:  the file that runs where none is named.
    evaluate: `Evaluated` -> the scores of a run or a file, as text or JSON.
    formats:  how its data may be written down, the names of --format.
    look:     what lies in such data, and what is wrong with it.
    holds:    whether data of no named format are the task's.
    look_at_recipe: the same as look, of all sets that a recipe of the task names.
    judged:   options of `tombola evaluate` that it has a use for, beside those of every task.
    is_slow:  whether a camera's picture should not wait for its answers.
    """

    noun: str
    command: Place
    shipped: str
    evaluate: Place
    formats: tuple[str, ...]
    look: Place
    holds: Place
    look_at_recipe: Place
    judged: tuple[str, ...] = ()
    is_slow: bool = False


TASKS = {
    "detect": TaskCommands(
        "detector",
        ("tombola.cli.ask.detect", "detect"),
        "voc-detector.onnx",
        ("tombola.cli.evaluate.evaluate_detect", "report_detector"),
        ("coco", "voc", "yolo"),
        ("tombola.cli.data.look", "boxes"),
        ("tombola.cli.data.look", "are_boxes"),
        ("tombola.cli.data.look", "boxes_of_recipe"),
        ("interval", "against", "score", "pr_curve", "confusions", "predictions", "proposals", "changes"),
    ),
    "classify": TaskCommands(
        "classifier",
        ("tombola.cli.ask.classify", "classify"),
        "fashion-mnist-classifier.onnx",
        ("tombola.cli.evaluate.evaluate_classify", "report_classifier"),
        ("idx", "cifar", "folder", "clips"),
        ("tombola.cli.data.look", "labels"),
        ("tombola.cli.data.look", "are_labels"),
        ("tombola.cli.data.look", "labels_of_recipe"),
        ("interval", "against", "confusions"),
    ),
    "generate": TaskCommands(
        "generator",
        ("tombola.cli.ask.generate", "generate"),
        "fashion-mnist-generator.onnx",
        ("tombola.cli.evaluate.evaluate_generate", "report_generator"),
        (),
        ("tombola.cli.data.look", "labels"),
        ("tombola.cli.data.look", "claims_nothing"),
        ("tombola.cli.data.look", "labels_of_recipe"),
        ("judge", "likelihood"),
    ),
    "caption": TaskCommands(
        "captioner",
        ("tombola.cli.ask.caption", "caption"),
        "flickr8k-captioner.onnx",
        ("tombola.cli.evaluate.evaluate_caption", "report_captioner"),
        ("karpathy", "coco-captions", "flickr-tokens", "csv"),
        ("tombola.cli.data.look", "captions"),
        ("tombola.cli.data.look", "are_captions"),
        ("tombola.cli.data.look", "captions_of_recipe"),
        ("interval", "against", "changes"),
        is_slow=True,
    ),
}


def fetch(place: Place) -> Any:
    """What lies there."""
    module, name = place
    return getattr(import_module(module), name)


def ask_command(contract: "Contract", model: Path) -> str:
    """What asks a model file of this contract."""
    file = quote(str(model))
    asked = {"image": f"photo.jpg --model {file} --save out", "frames": f"clip.gif --model {file}"}
    first = contract.signature.inputs[0].name
    return f"tombola {contract.task} {asked.get(first, f'--model {file} -o made.png')}"
