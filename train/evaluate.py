"""How good a run is, or whatever answers as a network of its task does: what `tombola evaluate` calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.runtime.pictures.shrink import Shrink
from tombola.train.data.boxes import formats
from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.data.captions import formats as caption_formats
from tombola.train.data.captions.caption_set import CaptionSet
from tombola.train.data.labels import classify_formats
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.metrics.bootstrap import Interval, interval, picture_counts
from tombola.train.metrics.captions import CaptionScores, score_captions
from tombola.train.metrics.classification import ClassificationScores, score_classification, score_clips
from tombola.train.regions.proposals_file import with_proposals
from tombola.train.run.device import choose_device
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.caption import task as caption
from tombola.train.tasks.classify import task as classify
from tombola.train.tasks.classify.clip_task import clip_answers, clip_labels
from tombola.train.tasks.detect import task as detect
from tombola.train.tasks.detect.scoring import DetectorScores, score_detector
from tombola.train.tasks.generate.exhibits import sample_latents, to_pictures
from tombola.train.tasks.generate.task import JUDGED_TOGETHER, GenerateTask
from tombola.train.tasks.table import load_network, load_recipe
from tombola.train.tasks.task import Tell, silent

MakePictures = Callable[[int], tuple[NDArray[np.uint8], NDArray[np.int64] | None]]
Scores = DetectorScores | ClassificationScores | CaptionScores


@dataclass(frozen=True)
class Named:
    """Labelled pictures on the disk: the folder, archive or file that they are in; their labels, where those
    are in a place of their own; the format, guessed where it is not said; which folds of them; and for a
    Fast R-CNN the file of their proposals; of captions the split that their file calls so, all if empty."""

    pictures: Path
    labels: Path | None = None
    format_name: str | None = None
    folds: Sequence[str] = ()
    proposals: Path | None = None
    split: str = ""


@dataclass(frozen=True)
class Split:
    """Labelled pictures that the recipe of a run names: its split (train, valid, test), or those folds of
    it."""

    run: Path
    name: str = "test"
    folds: Sequence[str] = ()


@dataclass(frozen=True)
class _Way:
    """How one task is scored: its pictures as named or as a split of a recipe, for classes in their order;
    the answers of a network to them; and the scores of answers."""

    load: Callable[[Named, Sequence[str]], Any]
    split: Callable[[Any, str, Sequence[str]], Any]
    answers: Callable[[Any, Any, Any, Tell], Any]
    score: Callable[[Any, Any], Scores]


def evaluate_run(
    run: Path,
    pictures: Named | Split | None = None,
    *,
    weights: str = "best",
    changes: Sequence[str] = (),
    device: str = "auto",
    tell: Tell = silent,
) -> Scores:
    """Score a run's network on those pictures, the test split of its own recipe by default.

    weights: best, last, initial or early-K. changes: as those of `load_network`. device: auto, cpu or cuda.
    Raises RecipeError, TrainingError, DataError and DeviceError.
    """
    place = choose_device(device)
    network, recipe = load_network(run, weights, changes)
    data = open_set(recipe.task, pictures or Split(run), recipe.data.classes)
    way = _WAYS[recipe.task]
    with torch.inference_mode():
        answers = way.answers(network.to(place), recipe, data, tell)
    return way.score(answers, data)


def evaluate_model(
    task: str,
    answer: Callable[..., Any],
    classes: Sequence[str],
    pictures: Named | Split,
    *,
    shrink: Shrink | None = None,
    of_clips: bool = False,
    tell: Tell = silent,
) -> Scores:
    """Score a function on those pictures: a picture -> a Prediction, down to scores of about 0.01, for
    detect; probabilities float32 [classes] for classify, of a clip's path a ClipAnswer; words for caption,
    of a clip's path if `of_clips`. Where the pictures have proposals, it is given them as well:
    proposals_xyxy float32 [k, 4] in the picture's pixels.

    classes: their names in the order of the function's labels. shrink: how the pictures are halved, as that
    of a loaded model. Raises DataError and RecipeError.
    """
    data = open_set(task, pictures, classes)
    answers = []
    for index in range(len(data)):
        given = data.records[index].proposals_xyxy if isinstance(data, DetectionSet) else None
        answers.append(answer(_question(data, index, shrink, of_clips), *([] if given is None else [given])))
        tell(index + 1, len(data))
    return _WAYS[task].score(answers, data)


def evaluate_generator(
    run: Path,
    split: str = "test",
    *,
    folds: Sequence[str] = (),
    weights: str = "best",
    samples: int | None = None,
    device: str = "auto",
    tell: Tell = silent,
) -> dict[str, float]:
    """The figures of a generator's run on the pictures of a split of its recipe, of those folds, as its
    training judged it by those for validation: of a VAE the bound on -log p(x) and its parts, in nats a
    picture, and with `samples` log p(x) as so many importance samples of each picture estimate it, of a
    Boltzmann machine by ln Z of annealed importance sampling over so many temperatures.

    Raises RecipeError, TrainingError, DataError and DeviceError.
    """
    place = choose_device(device)
    network, recipe = load_network(run, weights)
    data = recipe.data.model_copy(update={"valid": getattr(recipe.data, split)})
    task = GenerateTask(recipe.model_copy(update={"data": data}), RunFolder(run).read_widths())
    if task.valid_data is not None:
        task.valid_data = task.valid_data.fold(folds)
    network = network.to(place)
    with torch.inference_mode():
        # The dearest first: it may be refused.
        likelihood = {} if samples is None else task.log_likelihood(network, samples, tell)
        return task.evaluate(network, tell) | likelihood


def generator_of_run(run: Path, weights: str = "best", seed: int = 0) -> tuple[MakePictures, tuple[str, ...]]:
    """A function of a count that makes as many pictures uint8 [n, h, w, 1 or 3] with their labels, None where
    it knows none, from a run's network; and the names of the classes.

    Raises RecipeError or TrainingError for a folder that is not a run or has no such weights.
    """
    network, recipe = load_network(run, weights)

    @torch.inference_mode()
    def make(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
        latents, labels = sample_latents(network, count, seed)
        told = None if labels is None else torch.from_numpy(labels)
        parts = [slice(at, at + JUDGED_TOGETHER) for at in range(0, count, JUDGED_TOGETHER)]
        made = [
            network.decode(torch.from_numpy(latents[p]), None if told is None else told[p]) for p in parts
        ]
        return np.concatenate([to_pictures(levels) for levels in made]), labels

    return make, recipe.data.classes


def score_interval(scores: Scores) -> Interval:
    """How far `scores.main` would move with other pictures of the same kind."""
    return interval(scores.resampled(picture_counts(scores.pictures)))


def difference_interval(scores: Scores, other: Scores) -> Interval:
    """How far `scores.main - other.main` would move: both are of the same pictures, in each resample too.

    Raises DataError if they are of other pictures, or of another task.
    """
    if type(scores) is not type(other) or scores.pictures != other.pictures:
        raise DataError(
            f"scores of {scores.pictures} and of {other.pictures} pictures, or of two tasks, are not of the "
            "same pictures; score both on the same ones"
        )
    counts = picture_counts(scores.pictures)
    return interval(scores.resampled(counts) - other.resampled(counts))


def open_set(task: str, pictures: Named | Split, classes: Sequence[str]) -> Any:
    """Those labelled pictures of a task, their classes in this order. Raises DataError and RecipeError."""
    way = _WAYS.get(task)
    if way is None:
        raise DataError(f"a model of the task {task} has no right answers to labelled pictures")
    if isinstance(pictures, Named):
        return way.load(pictures, classes)
    recipe = load_recipe(RunFolder(pictures.run).recipe_path)
    if recipe.task != task:
        raise DataError(
            f"{pictures.run} is a run of the task {recipe.task}, whose pictures are not labelled for {task}; "
            "name others"
        )
    return way.split(recipe, pictures.name, classes).fold(pictures.folds)


def _question(data: Any, index: int, shrink: Shrink | None, of_clips: bool) -> Any:
    """What a model is asked: a picture; of clips where one lies, which it reads itself."""
    is_clip = of_clips if isinstance(data, CaptionSet) else getattr(data, "steps", None) is not None
    return data.clip_path(index) if is_clip else data.picture(index, shrink)


def _load_boxes(named: Named, classes: Sequence[str]) -> DetectionSet:
    if named.labels is None:
        raise DataError(f"the boxes of {named.pictures} are not said; give their annotations too")
    data = formats.load(named.labels, named.pictures, classes, named.format_name).fold(named.folds)
    return data if named.proposals is None else with_proposals(data, named.proposals)


def _load_labels(named: Named, classes: Sequence[str]) -> ClassificationSet:
    data = classify_formats.load(named.pictures, named.labels, classes, named.format_name)
    return data.fold(named.folds)


def _load_captions(named: Named, _classes: Sequence[str]) -> CaptionSet:
    if named.labels is None:
        raise DataError(f"the captions of {named.pictures} are not said; give their annotations too")
    return caption_formats.load(named.labels, named.pictures, named.split, named.format_name).fold(
        named.folds
    )


def _split_captions(recipe: Any, split: str, _classes: Sequence[str]) -> CaptionSet:
    return caption.load_split(recipe, split)


def _score_words(captions: Sequence[Sequence[str]], data: CaptionSet) -> CaptionScores:
    return score_captions(captions, data.references)


def _answer_labels(network: Any, recipe: Any, data: ClassificationSet, tell: Tell) -> Sequence[Any]:
    if data.steps is None:
        return list(classify.answers(network, recipe, data, tell))
    return clip_answers(network, recipe, data, tell)


def _score_labels(answers: Sequence[Any], data: ClassificationSet) -> ClassificationScores:
    if data.steps is None:
        return score_classification(np.asarray(answers), data.labels, data.classes)
    return score_clips([one.probabilities for one in answers], clip_labels(data, answers), data.classes)


_WAYS = {
    "detect": _Way(_load_boxes, detect.load_split, detect.answers, score_detector),
    "classify": _Way(_load_labels, classify.load_split, _answer_labels, _score_labels),
    "caption": _Way(_load_captions, _split_captions, caption.answers, _score_words),
}
