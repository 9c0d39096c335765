"""From a run folder to a contract file: what `tombola export` calls."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tombola.export.export import ExportReport
from tombola.export.tasks.classify.exportable import export_classifier
from tombola.export.tasks.detect.exportable import export_detector
from tombola.runtime.pictures.picture import read_rgb
from tombola.train.networks.classify.classifiers import Classifier
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.recipe.recipe import Recipe
from tombola.train.run.folder import RunFolder, check_place
from tombola.train.tasks.classify.recipe import ClassifyRecipe
from tombola.train.tasks.detect.recipe import DetectRecipe
from tombola.train.tasks.table import TASKS, load_network


def export_run(
    run: Path,
    output: Path | None = None,
    *,
    weights: str = "best",
    half: bool = True,
    facts: Mapping[str, Any] | None = None,
    photos: Sequence[Path] = (),
) -> ExportReport:
    """Write the network of the run folder `run` to the file `output`, detector.onnx or classifier.onnx by
    default.

    weights: best, last, initial or early-K. half: store weights as float16, computed in float32. facts: more
    for the card (licence, protocol, metrics on the test split); a key given here replaces what the run says.
    photos: picture files on which parity is checked too; the file carries them, made small, for `tombola
    verify`.
    Raises what `load_network`, `read_rgb` and `export_network` raise.
    """
    network, recipe = load_network(run, weights)
    export, name = EXPORTS[recipe.task]
    output = output or Path(name)
    check_place(output, ".onnx")
    images = [read_rgb(path) for path in photos]
    facts = {**_run_facts(RunFolder(run), recipe, weights), **(facts or {})}
    return export(network, recipe, output, facts=facts, photos=images, half=half)


def _export_detector(network: FasterRCNN, recipe: DetectRecipe, output: Path, **asked: Any) -> ExportReport:
    return export_detector(
        network,
        recipe.picture.as_input(),
        output,
        labels=recipe.data.classes,
        defaults=recipe.answer.model_dump(),
        **asked,
    )


def _export_classifier(
    network: Classifier, recipe: ClassifyRecipe, output: Path, **asked: Any
) -> ExportReport:
    return export_classifier(network, recipe.picture.as_input(), output, labels=recipe.data.classes, **asked)


# Task -> what exports its network, and the file that is written unless another is named.
EXPORTS: dict[str, tuple[Callable[..., ExportReport], str]] = {
    "detect": (_export_detector, "detector.onnx"),
    "classify": (_export_classifier, "classifier.onnx"),
}


def _run_facts(folder: RunFolder, recipe: Recipe, weights: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"task": recipe.task, "name": recipe.name, "weights": weights}
    if recipe.data.rights:
        facts["data"] = recipe.data.rights
    best = TASKS[recipe.task].score.best(folder.read_metrics())
    if best is not None and weights == "best":
        facts["metrics"] = {key: value for key, value in best.items() if key.startswith(("epoch", "valid_"))}
    return {**facts, "lineage": folder.read_lineage()}
