"""The tasks that the command line knows: what is different from task to task, a row for each."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

# A module and a name in it, imported when it is needed: all of them take longer than to detect in a picture.
Place = tuple[str, str]


@dataclass(frozen=True)
class TaskCommands:
    """One task, as the command line sees it.

    noun:     what a model of the task is called: "detector".
    command:  answers sources; `tombola` has it under the task's name.
    shipped:  the file that runs where none is named; empty where none ships.
    evaluate: `Evaluated` -> the scores of a run or a file, as text or JSON.
    """

    noun: str
    command: Place
    shipped: str
    evaluate: Place


TASKS = {
    "detect": TaskCommands(
        "detector",
        ("tombola.cli.ask.detect", "detect"),
        "voc-detector.onnx",
        ("tombola.cli.training.evaluate_detect", "report_detector"),
    ),
    "classify": TaskCommands(
        "classifier",
        ("tombola.cli.ask.classify", "classify"),
        "fashion-mnist-classifier.onnx",
        ("tombola.cli.training.evaluate_classify", "report_classifier"),
    ),
}


def fetch(place: Place) -> Any:
    """What lies there."""
    module, name = place
    return getattr(import_module(module), name)
