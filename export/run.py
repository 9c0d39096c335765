"""From a run folder to a contract file: what `tombola export` calls."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tombola.export.export import ExportReport, Photo
from tombola.export.tasks.classify.exportable import export_classifier
from tombola.export.tasks.detect.exportable import export_detector
from tombola.runtime.pictures.picture import read_rgb
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.run.folder import RunFolder, check_place
from tombola.train.tasks.classify import task as classify
from tombola.train.tasks.classify.recipe import ClassifyRecipe
from tombola.train.tasks.detect import task as detect
from tombola.train.tasks.detect.recipe import DetectRecipe
from tombola.train.tasks.open import score_name_of, task_of


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
    task = task_of(RunFolder(run).recipe_path)
    export = {"detect": _export_detector, "classify": _export_classifier}[task]
    output = output or Path({"detect": "detector.onnx", "classify": "classifier.onnx"}[task])
    check_place(output, ".onnx")
    images = [read_rgb(path) for path in photos]
    return export(run, output, weights, half, facts or {}, images)


def _export_detector(
    run: Path, output: Path, weights: str, half: bool, facts: Mapping[str, Any], photos: Sequence[Photo]
) -> ExportReport:
    network, recipe = detect.load_network(run, weights)
    picture = recipe.picture
    return export_detector(
        network,
        PictureInput(picture.size, network.size_divisor, picture.mean, picture.scale),
        output,
        labels=recipe.data.classes,
        defaults=recipe.answer.model_dump(),
        facts={**_run_facts(RunFolder(run), recipe, weights), **facts},
        photos=photos,
        half=half,
    )


def _export_classifier(
    run: Path, output: Path, weights: str, half: bool, facts: Mapping[str, Any], photos: Sequence[Photo]
) -> ExportReport:
    network, recipe = classify.load_network(run, weights)
    return export_classifier(
        network,
        recipe.picture.as_input(),
        output,
        labels=recipe.data.classes,
        facts={**_run_facts(RunFolder(run), recipe, weights), **facts},
        photos=photos,
        half=half,
    )


def _run_facts(folder: RunFolder, recipe: DetectRecipe | ClassifyRecipe, weights: str) -> dict[str, Any]:
    score = f"valid_{score_name_of(folder.recipe_path)}"
    measured = [row for row in folder.read_metrics() if score in row]
    facts: dict[str, Any] = {"task": recipe.task, "name": recipe.name, "weights": weights}
    if recipe.data.rights:
        facts["data"] = recipe.data.rights
    if measured and weights == "best":
        best = max(measured, key=lambda row: row[score])
        facts["metrics"] = {key: value for key, value in best.items() if key.startswith(("epoch", "valid_"))}
    return {**facts, "lineage": folder.read_lineage()}
