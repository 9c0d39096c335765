"""How good a run is, or whatever answers as a network of its task does: what `tombola evaluate` calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.data.boxes import formats
from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.data.labels import classify_formats
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.metrics.classification import ClassificationScores, score_classification
from tombola.train.run.device import choose_device
from tombola.train.tasks.classify import task as classify
from tombola.train.tasks.detect import task as detect
from tombola.train.tasks.detect.scoring import DetectorScores, score_detector
from tombola.train.tasks.table import load_network
from tombola.train.tasks.task import Tell, silent

Scores = DetectorScores | ClassificationScores


@dataclass(frozen=True)
class Named:
    """Labelled pictures on the disk: the folder, archive or file that they are in; their labels, where those
    are in a place of their own; the format, guessed where it is not said; and which folds of them."""

    pictures: Path
    labels: Path | None = None
    format_name: str | None = None
    folds: Sequence[str] = ()


@dataclass(frozen=True)
class _Way:
    """How one task is scored: its pictures as named or as a split of the recipe, the answers of a network to
    them, and the scores of answers."""

    load: Callable[[Named, Sequence[str]], Any]
    split: Callable[[Any, str], Any]
    answers: Callable[[Any, Any, Any, Tell], Any]
    score: Callable[[Any, Any], Scores]


def evaluate_run(
    run: Path,
    *,
    weights: str = "best",
    split: str = "test",
    folds: Sequence[str] = (),
    named: Named | None = None,
    device: str = "auto",
    tell: Tell = silent,
) -> Scores:
    """Score a run's network on the split (train, valid, test) of its recipe, or those folds of it, or on the
    pictures named instead.

    weights: best, last, initial or early-K. device: auto, cpu or cuda. Raises RecipeError, TrainingError,
    DataError and DeviceError.
    """
    place = choose_device(device)
    network, recipe = load_network(run, weights)
    way = _WAYS[recipe.task]
    data = way.split(recipe, split).fold(folds) if named is None else way.load(named, recipe.data.classes)
    with torch.inference_mode():
        answers = way.answers(network.to(place), recipe, data, tell)
    return way.score(answers, data)


def evaluate_model(
    task: str,
    answer: Callable[[NDArray[np.uint8]], Any],
    classes: Sequence[str],
    named: Named,
    *,
    tell: Tell = silent,
) -> Scores:
    """Score a function on the pictures named: image_rgb_u8 [h, w, 3] -> a Prediction, down to scores of about
    0.01, for detect; probabilities float32 [classes] for classify.

    classes: their names in the order of the function's labels. Raises DataError.
    """
    way = _WAYS[task]
    data = way.load(named, classes)
    answers = []
    for index in range(len(data)):
        answers.append(answer(data.read(index)))
        tell(index + 1, len(data))
    return way.score(answers, data)


def _load_boxes(named: Named, classes: Sequence[str]) -> DetectionSet:
    if named.labels is None:
        raise DataError(f"the boxes of {named.pictures} are not said; give their annotations too")
    return formats.load(named.labels, named.pictures, classes, named.format_name).fold(named.folds)


def _load_labels(named: Named, classes: Sequence[str]) -> ClassificationSet:
    data = classify_formats.load(named.pictures, named.labels, classes, named.format_name)
    return data.fold(named.folds)


def _score_labels(probabilities: Sequence[Any], data: ClassificationSet) -> ClassificationScores:
    return score_classification(np.asarray(probabilities), data.labels, data.classes)


_WAYS = {
    "detect": _Way(_load_boxes, detect.load_split, detect.answers, score_detector),
    "classify": _Way(_load_labels, classify.load_split, classify.answers, _score_labels),
}
