"""What a classifier that starts from another one must know of it."""

from pathlib import Path

from tombola.errors import RecipeError
from tombola.train.recipe.recipe import read_toml, validate
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.classify.recipe import ClassifyPicture, ClassifyRecipe


def recipe_behind(weights: Path) -> ClassifyRecipe | None:
    """The recipe of the training that wrote this file of weights; None if it is not a classifier's run folder
    that it lies in. RecipeError if that recipe is damaged."""
    run = RunFolder(weights.parent)
    # A recipe.toml alone may be anybody's, the new training's own too.
    if not (run.is_run and weights == run.weights_path(weights.stem)):
        return None
    table = read_toml(run.recipe_path)
    if table.get("task") != "classify":
        return None
    return validate(ClassifyRecipe, table, str(run.recipe_path))


def check_seen_alike(picture: ClassifyPicture, before: ClassifyPicture, weights: Path) -> None:
    """RecipeError if the weights learnt from pictures that were normalised otherwise."""
    for key in ("mean", "scale"):
        now, then = getattr(picture, key), getattr(before, key)
        if now != then:
            raise RecipeError(
                f"picture.{key} is {list(now)}, but {weights} was trained with {list(then)}; set it so"
            )
