"""`tombola evaluate`: how good a run or a model file is on labelled pictures."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.data_check import DataFormat, FormatOption
from tombola.cli.evaluate_print import evaluation_json, evaluation_lines
from tombola.cli.options import Device, DeviceOption, JsonOption, ThreadsOption
from tombola.cli.table import terminal_columns
from tombola.errors import DataError, DeviceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.train.data.detection_set import DetectionSet
    from tombola.train.evaluate import PredictPicture
    from tombola.train.metrics.matching import Prediction

SPLITS = ("train", "valid", "test")
Source = tuple[Path, Path, DataFormat | None]


def evaluate(
    model: Annotated[
        Path,
        typer.Argument(metavar="RUN_OR_MODEL", help="A run folder or an .onnx file.", show_default=False),
    ],
    annotations: Annotated[
        Path | None,
        typer.Option(
            "--annotations", "-a", metavar="A", help="COCO's .json, or the folder of VOC's or YOLO's files."
        ),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", "-p", metavar="P", help="The folder, or plain .tar, of the pictures."),
    ] = None,
    folds: Annotated[
        list[str] | None,
        typer.Option(
            "--fold",
            metavar="K/N",
            help="Of the pictures by name every N-th, from number K (0 is the first); !K/N is all others.",
        ),
    ] = None,
    format_: FormatOption = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="S", help="For a run: train, valid or test of its recipe.", show_default="test"
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", metavar="W", help="For a run: best, last, initial or early-K.", show_default="best"
        ),
    ] = None,
    score: Annotated[
        float | None,
        typer.Option(
            "--score",
            min=0.0,
            max=1.0,
            metavar="S",
            help="Precision, recall and F1 are told for this score.",
            show_default="that of the best F1",
        ),
    ] = None,
    pr_curve: Annotated[
        Path | None,
        typer.Option("--pr-curve", metavar="PNG", help="Draw precision against recall to this file."),
    ] = None,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Score a run or a model file on labelled pictures.

    Prints VOC07 and COCO mean average precision and a table by class. A run is scored on the test
    pictures of its recipe unless others are named; a model file runs as it will on the device.

    \b
    Example:
      tombola evaluate runs/first
      tombola evaluate detector.onnx --annotations annotations.json --pictures photos --pr-curve curve.png
    """
    if (annotations is None) != (pictures is None):
        raise typer.BadParameter("--annotations and --pictures belong together; give both.")
    source = None if annotations is None or pictures is None else (annotations, pictures, format_)
    if model.is_dir():
        predict, data = _of_run(model, weights or "best", split or "test", source, device)
    elif split or weights:
        raise typer.BadParameter("--split and --weights are for run folders; a model file has neither.")
    else:
        predict, data = _of_model(model, source, device, threads)

    from tombola.train.evaluate import evaluate
    from tombola.train.metrics.table import best_f1_score

    if folds:
        data = data.fold(folds)
    result = evaluate(_counted(predict, len(data)), data)
    cut = best_f1_score(result.voc07) if score is None else score
    if pr_curve is not None:
        from tombola.train.metrics.curves import draw_precision_recall

        draw_precision_recall(result.voc07, pr_curve, cut)
    typer.echo(
        evaluation_json(result, cut) if json else "\n".join(evaluation_lines(result, cut, terminal_columns()))
    )


def _load(source: Source, classes: Sequence[str]) -> "DetectionSet":
    from tombola.train.data.formats import load

    annotations, pictures, format_ = source
    return load(annotations, pictures, classes, None if format_ is None else format_.value)


def _of_run(
    run: Path, weights: str, split: str, source: Source | None, device: Device
) -> tuple["PredictPicture", "DetectionSet"]:
    """The network of a run in PyTorch, and the pictures named or those of its recipe."""
    import torch

    from tombola.train.tasks.detect import load_network, load_split, predictor

    if device is Device.cuda and not torch.cuda.is_available():
        raise DeviceError("PyTorch sees no CUDA device; install a CUDA build of torch, or use --device cpu")
    if split not in SPLITS:
        raise typer.BadParameter(f"--split {split!r} is not one of {', '.join(SPLITS)}.")
    network, recipe = load_network(run, weights)
    data = load_split(recipe, split) if source is None else _load(source, recipe.data.classes)
    on_gpu = device is not Device.cpu and torch.cuda.is_available()
    return torch.inference_mode()(predictor(network.to("cuda" if on_gpu else "cpu"), recipe)), data


def _of_model(
    model: Path, source: Source | None, device: Device, threads: int | None
) -> tuple["PredictPicture", "DetectionSet"]:
    """A model file as it will run on the device, and the pictures named."""
    from tombola.runtime.load import load
    from tombola.train.metrics.matching import Prediction
    from tombola.train.tasks.detect import SCORING_THRESHOLD

    detector = load(model, device.value, threads)
    if source is None:
        raise DataError(f"{model} does not say what to score it on: give --annotations and --pictures")

    def predict(image_rgb_u8: "NDArray[np.uint8]") -> Prediction:
        found = detector(image_rgb_u8, score_threshold=SCORING_THRESHOLD)
        return Prediction(found.boxes_xyxy, found.scores, found.labels)

    return predict, _load(source, detector.labels)


def _counted(predict: "PredictPicture", total: int) -> "PredictPicture":
    """`predict`, telling a terminal how far it is."""
    if not sys.stderr.isatty():
        return predict
    done = 0

    def told(image_rgb_u8: "NDArray[np.uint8]") -> "Prediction":
        nonlocal done
        done += 1
        sys.stderr.write(f"\r\x1b[2Kpicture {done} of {total}" if done < total else "\r\x1b[2K")
        sys.stderr.flush()
        return predict(image_rgb_u8)

    return told
