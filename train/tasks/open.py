"""From a recipe to its task: the one place in training that knows which tasks there are."""

from collections.abc import Sequence
from pathlib import Path

from tombola.errors import RecipeError
from tombola.train.recipe.recipe import read_toml, to_toml
from tombola.train.tasks.task import ExaminedTask

TASKS = ("detect", "classify")


def task_of(recipe: Path, overrides: Sequence[str] = ()) -> str:
    """What the recipe is for: one of TASKS. RecipeError if it says something else."""
    task = read_toml(recipe, overrides).get("task")
    if task not in TASKS:
        choices = " or ".join(f'"{name}"' for name in TASKS)
        raise RecipeError(f"{recipe}: task = {task!r} is not known; write task = {choices}")
    return str(task)


def open_task(recipe: Path, overrides: Sequence[str] = ()) -> ExaminedTask:
    """The recipe's task, its data loaded. Raises RecipeError and DataError."""
    if task_of(recipe, overrides) == "detect":
        from tombola.train.tasks.detect import task as detect

        return detect.DetectTask(detect.load_recipe(recipe, overrides))
    from tombola.train.tasks.classify import task as classify

    return classify.ClassifyTask(classify.load_recipe(recipe, overrides))


def score_name_of(recipe: Path) -> str:
    """The score that decides which weights of the recipe are best. Raises RecipeError."""
    if task_of(recipe) == "detect":
        from tombola.train.tasks.detect import task as detect

        return detect.DetectTask.score_name
    from tombola.train.tasks.classify import task as classify

    return classify.ClassifyTask.score_name


def resolved_toml(recipe: Path, overrides: Sequence[str] = ()) -> str:
    """The recipe with all its defaults, as text. Raises RecipeError."""
    if task_of(recipe, overrides) == "detect":
        from tombola.train.tasks.detect import task as detect

        return to_toml(detect.load_recipe(recipe, overrides))
    from tombola.train.tasks.classify import task as classify

    return to_toml(classify.load_recipe(recipe, overrides))
