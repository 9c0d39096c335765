"""The tasks that there are, and the one way from a recipe or a run folder to its task and its network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tombola.errors import RecipeError
from tombola.train.metrics.score import Score
from tombola.train.networks.classify.clip import ClipSettings
from tombola.train.recipe.faults import brief
from tombola.train.recipe.recipe import Recipe, read_toml, validate
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.caption import task as caption
from tombola.train.tasks.caption.recipe import CaptionRecipe
from tombola.train.tasks.classify import task as classify
from tombola.train.tasks.classify.clip_task import ClipTask
from tombola.train.tasks.classify.recipe import ClassifyRecipe
from tombola.train.tasks.detect import task as detect
from tombola.train.tasks.detect.recipe import DetectRecipe
from tombola.train.tasks.generate import task as generate
from tombola.train.tasks.generate.recipe import GenerateRecipe
from tombola.train.tasks.task import ExaminedTask


@dataclass(frozen=True)
class Row:
    """One task: what its recipe says, what a batch and a loss are for it, how its network is built from a
    recipe, a number of classes and stored widths, with fresh weights, and the score that decides which
    weights are best."""

    recipe: type[Recipe]
    task: Callable[[Any, Mapping[str, int]], ExaminedTask]
    build: Callable[..., Any]
    score: Score


def _classify_task(recipe: ClassifyRecipe, widths: Mapping[str, int] | None = None) -> classify.ClassifyTask:
    """Of pictures or of clips, as the network is."""
    is_of_clips = isinstance(recipe.network, ClipSettings)
    return ClipTask(recipe, widths) if is_of_clips else classify.ClassifyTask(recipe, widths)


TASKS = {
    "detect": Row(DetectRecipe, detect.DetectTask, detect.build, detect.DetectTask.score),
    "classify": Row(ClassifyRecipe, _classify_task, classify.build, classify.ClassifyTask.score),
    "generate": Row(GenerateRecipe, generate.GenerateTask, generate.build, generate.GenerateTask.score),
    "caption": Row(CaptionRecipe, caption.CaptionTask, caption.build, caption.CaptionTask.score),
}


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Any:
    """The recipe in a file, of its task's own kind, its paths absolute. Raises RecipeError.

    overrides: "training.epochs=3"; a relative path in one is meant from the current folder.
    """
    table = read_toml(path, overrides)
    task = table.get("task")
    if task not in TASKS:
        choices = " or ".join(f'"{name}"' for name in TASKS)
        raise RecipeError(f"{path}: task = {brief(task)} is not known; write task = {choices}")
    return validate(TASKS[task].recipe, table, path)


def open_task(
    path: Path, overrides: Sequence[str] = (), widths: Mapping[str, int] | None = None
) -> ExaminedTask:
    """The task of a recipe, its data loaded. Raises RecipeError and DataError; TrainingError for damaged
    widths.

    widths: of its network; if none are told, those of the run folder that the recipe lies in.
    """
    recipe = load_recipe(path, overrides)
    if widths is None:
        run = RunFolder(path.parent)
        widths = run.read_widths() if run.is_run and path == run.recipe_path else {}
    return TASKS[recipe.task].task(recipe, widths)


def load_network(run: Path, weights: str = "best", changes: Sequence[str] = ()) -> tuple[Any, Any]:
    """The trained network of a run folder, in eval mode, with its recipe (data.classes filled in).

    changes: of the form "answer.beam_size=3"; how it answers can be chosen after the training, nothing else.
    Raises RecipeError or TrainingError for a folder that is not a run or has no such weights.
    """
    for change in changes:
        if not change.startswith("answer."):
            raise RecipeError(
                f"{change} would make another network of a trained one; only how it answers can be set, such "
                "as answer.max_length"
            )
    folder = RunFolder(run)
    recipe = load_recipe(folder.recipe_path, changes)
    network = TASKS[recipe.task].build(recipe, len(recipe.data.classes), folder.read_widths())
    folder.load(network, weights)
    return network.eval(), recipe
