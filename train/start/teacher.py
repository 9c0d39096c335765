"""The trained network that another one learns from beside its labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from tombola.errors import TrainingError
from tombola.train.recipe.recipe import TaughtRecipe, read_toml, validate
from tombola.train.run.folder import RunFolder
from tombola.train.start.model_file import load_model_file, read_model_file
from tombola.train.start.parent import check_seen_alike
from tombola.train.start.start import weights_file


@dataclass(frozen=True, eq=False)
class Teacher:
    """A network in eval mode, without gradients, and its recipe: `distill.teacher`'s, or for an .onnx that of
    the network that learns."""

    network: nn.Module
    recipe: Any


def load_teacher(
    recipe: TaughtRecipe, classes: tuple[str, ...], build: Callable[[Any, int, Mapping[str, int]], nn.Module]
) -> Teacher | None:
    """The network of `distill.teacher`, which `build` makes of a recipe, a number of classes and widths; None
    if the recipe names none. TrainingError for one that is of another task or classes, or does not fit;
    RecipeError for one that has learnt from pictures which were normalised otherwise."""
    path = recipe.distill.teacher
    if path is None:
        return None
    try:
        if path.suffix == ".onnx":
            file = read_model_file(path)
            _check_alike(recipe, classes, file.task, file.classes)
            network, then = build(recipe, len(classes), {}), recipe
            load_model_file(network, file, norms_learn=False)
            check_seen_alike(recipe, file.seen, path)
        else:
            run = RunFolder(path)
            run.check()
            table = read_toml(run.recipe_path)
            _check_alike(recipe, classes, table.get("task"), tuple(table.get("data", {}).get("classes", ())))
            then = validate(type(recipe), table, run.recipe_path)
            network = build(then, len(classes), run.read_widths())
            run.load(network, weights_file(path).stem)
            check_seen_alike(recipe, {"mean": then.picture.mean, "scale": then.picture.scale}, path)
    except TrainingError as error:
        reason = str(error).removeprefix("start.weights: ")
        raise TrainingError(f"distill.teacher: {reason}") from None
    return Teacher(network.eval().requires_grad_(False), then)


def _check_alike(
    recipe: TaughtRecipe, classes: tuple[str, ...], task: object, taught_classes: tuple[str, ...]
) -> None:
    path = recipe.distill.teacher
    if task != recipe.task:
        raise TrainingError(f"{path} is for {task}, the recipe for {recipe.task}")
    if taught_classes != classes:
        raise TrainingError(
            f"{path} tells {len(taught_classes)} classes, {', '.join(taught_classes[:3])} first, the recipe "
            f"{len(classes)}, {', '.join(classes[:3])} first; take a teacher of the same, in the same order"
        )
