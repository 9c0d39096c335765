"""A whole study of channels: its contenders in processes of their own, and the report of what they found."""

from dataclasses import replace
from pathlib import Path

from tombola.errors import RecipeError
from tombola.train.prune.weights.settings import keep_settings
from tombola.train.run.lock import lock_folder
from tombola.train.run.ray_cluster import import_ray
from tombola.train.studies.channels.contender import contenders
from tombola.train.studies.channels.report import write_report
from tombola.train.studies.channels.study import ChannelStudy
from tombola.train.studies.parts import Told, train_parts
from tombola.train.tasks.classify.task import load_split
from tombola.train.tasks.table import load_recipe


def run_study(
    study: ChannelStudy,
    folder: Path,
    *,
    jobs: int | None = None,
    ray: bool = False,
    told: Told = lambda _: None,
) -> list[str]:
    """Train what is not done of the study, write its report, and return the report's findings, a line each.

    jobs, ray: as `train_parts` takes them. Given again after a stop of any kind it goes on with the
    contender that was at work, also with more seeds. Raises DataError, RecipeError and TrainingError,
    Interrupted after SIGINT.
    """
    if ray:
        import_ray("ray")  # before anything is written
    recipe = load_recipe(study.recipe_path, study.changes)
    if recipe.training.early_stopping_epochs:
        raise RecipeError("contenders train equally long; set training.early_stopping_epochs = 0")
    for split in ("train", "valid", "test"):
        load_split(recipe, split)
    keep_settings(folder, replace(study, seeds=0), recipe.data.root)
    with lock_folder(folder):
        train_parts(list(contenders(study, folder)), jobs=jobs, ray=ray, told=told)
        return write_report(study, folder)
