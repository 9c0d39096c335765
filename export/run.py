"""From a run folder to a contract file: what `tombola export` calls."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tombola.errors import ExportError
from tombola.export.export import ExportReport, export_network
from tombola.export.quantize.pictures import Source, looks
from tombola.export.quantize.processor import Processor
from tombola.export.quantize.quantize import Precision, QuantizeReport, quantize_file
from tombola.export.tasks.table import EXPORTS
from tombola.export.writing import check_model_place, packed_name
from tombola.runtime.pictures.picture import read_rgb
from tombola.train.evaluate import Named, Split
from tombola.train.networks.axis import widths
from tombola.train.networks.classify.clip import ClipNetwork
from tombola.train.prune.dead import bury_dead
from tombola.train.prune.shrink import in_blocks, shrink
from tombola.train.prune.weights.mask import MASK
from tombola.train.recipe.recipe import Recipe
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.detect.recipe import DetectRecipe
from tombola.train.tasks.table import TASKS, load_network, load_recipe

# Weights are learned from pictures, whose rights bind whoever uses them.
USE = "these weights may be used for what the rights of all pictures behind them allow (data, lineage)"

# Tasks whose networks answer at once, so that what is dead in them can be told; not those of clips.
_BURIED = ("classify", "detect", "generate")


def export_run(
    run: Path,
    output: Path | None = None,
    *,
    weights: str = "best",
    changes: Sequence[str] = (),
    half: bool = True,
    facts: Mapping[str, Any] | None = None,
    photos: Sequence[Path] = (),
    packed: bool = False,
) -> ExportReport:
    """Write the network of the run folder `run` to the file `output`, detector.onnx or classifier.onnx by
    default.

    weights: best, last, initial or early-K. changes: of [answer], the file's defaults, such as
    "answer.beam_size=3". half: store weights as float16, computed in float32. facts: more for the card
    (licence, protocol, metrics on the test split); a key given here replaces what the run says. photos:
    picture files on which parity is checked too; the file carries them, made small, for `tombola verify`.
    Without them three of the run's pictures for validation are taken, or for the test. packed: by gzip, as a
    file whose name ends in .onnx.gz. Channels that a ticket's mask has killed are not in the file.

    Raises what `load_network`, `read_rgb` and `export_network` raise.
    """
    network, recipe = load_network(run, weights, changes)
    can_bury = recipe.task in _BURIED and not isinstance(network, ClipNetwork)
    if (run / MASK).exists() and can_bury and widths(network):
        network = without_dead(network, recipe)
    row = EXPORTS[recipe.task]
    exportable = row.exportable(network, recipe)
    if photos and recipe.task == "generate" and "image" not in exportable.more_inputs:
        raise ExportError("this generator looks at no picture; leave --photo out")
    output = _place(output, recipe, packed=packed)
    images = [read_rgb(path) for path in photos]
    return export_network(
        exportable,
        output,
        facts={**_run_facts(RunFolder(run), recipe, weights), **(facts or {})},
        photos=images or row.photos(recipe),
        half=half,
    )


def without_dead(network: Any, recipe: Any) -> Any:
    """The network without its dead channels, save those that fill the last block of an axis; it answers the
    same."""
    is_detector = isinstance(recipe, DetectRecipe)
    size_hw = (3 * network.size_divisor,) * 2 if is_detector else recipe.picture.size
    noise = torch.randn(2, len(recipe.picture.mean), *size_hw, generator=torch.Generator().manual_seed(0))
    quiet, alive = bury_dead(network, noise)
    kept = {name: in_blocks(channels, widths(network)[name]) for name, channels in alive.items()}
    build = TASKS[recipe.task].build
    return shrink(quiet, kept, lambda narrow: build(recipe, len(recipe.data.classes), narrow))


def quantize_run(
    run: Path,
    output: Path | None,
    precision: Precision,
    *,
    pictures: Source | None = None,
    held_out: Named | Split | None = None,
    processor: Processor | None = None,
    force: bool = False,
    packed: bool = False,
    **settings: Any,
) -> QuantizeReport:
    """As `export_run`, whose settings it takes, in int8 or float16: see `quantize_file`.

    pictures, held_out: those of the run for training and validation where they are None and of use.
    """
    recipe = load_recipe(RunFolder(run).recipe_path)
    output = _place(output, recipe, packed=packed)
    if held_out is None and recipe.data.valid and EXPORTS[recipe.task].answers is not None:
        held_out = Split(run, "valid")
    with tempfile.TemporaryDirectory() as folder:
        report = export_run(run, Path(folder) / "float.onnx", **settings)
        if pictures is None and looks(report.contract):
            pictures = Split(run, "train")
        return quantize_file(
            report.path,
            output,
            precision,
            pictures=pictures,
            held_out=held_out,
            processor=processor,
            force=force,
        )


def _place(output: Path | None, recipe: Recipe, *, packed: bool) -> Path:
    output = output or Path(EXPORTS[recipe.task].file_name)
    if packed:
        output = packed_name(output)
    check_model_place(output)
    return output


def _run_facts(folder: RunFolder, recipe: Recipe, weights: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"task": recipe.task, "name": recipe.name, "weights": weights}
    lineage = folder.read_lineage()
    if recipe.data.rights:
        facts["data"] = recipe.data.rights
    if recipe.data.rights or (lineage.get("parent") or {}).get("data"):
        facts["use"] = USE
    best = TASKS[recipe.task].score.best(folder.read_metrics())
    if best is not None and weights == "best":
        facts["metrics"] = {key: value for key, value in best.items() if key.startswith(("epoch", "valid_"))}
    return {**facts, "lineage": lineage}
