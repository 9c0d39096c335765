"""What a network starts from: its first weights, which of them are new, and what the lineage says of it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from tombola.errors import RecipeError
from tombola.train.recipe.recipe import Recipe, read_toml, validate
from tombola.train.run.folder import RunFolder
from tombola.train.start.freeze import freeze_up_to
from tombola.train.start.start import load_start, read_tensors, weights_file


@dataclass(frozen=True)
class Layers:
    """What a task's networks are made of: the prefixes of the names of the last layers, which other classes
    need anew, and of the part, if there is one, that public weights are for alone."""

    last: tuple[str, ...]
    body: str = ""


@dataclass(frozen=True)
class Parent:
    """The weights in `file`, and the recipe of the run that it lies in, if it lies in one.

    keeps_last: whether the last layers are taken over too, for they tell the very same classes apart.
    of_body: whether the weights are those of the body alone.
    """

    file: Path
    recipe: Recipe | None
    keeps_last: bool
    of_body: bool


def start_network(network: nn.Module, recipe: Recipe, classes: tuple[str, ...], layers: Layers) -> None:
    """Give the network the weights of `start.weights`.

    Raises TrainingError for weights that do not fit, RecipeError for weights that learnt from pictures which
    were normalised otherwise.
    """
    parent = find_parent(recipe, classes, layers)
    if parent is not None and parent.of_body:
        load_start(network.get_submodule(layers.body), parent.file, of_more=True)
    elif parent is not None:
        load_start(network, parent.file, fresh=() if parent.keeps_last else layers.last)
        _check_seen_alike(recipe, parent)


def freeze(network: nn.Module, recipe: Recipe) -> None:
    """Freeze the network up to `start.freeze`; RecipeError if that is no layer."""
    if recipe.start.freeze:
        freeze_up_to(network, recipe.start.freeze)


def parameter_groups(network: nn.Module, recipe: Recipe, layers: Layers) -> list[dict[str, Any]]:
    """Groups for the optimiser: taken over or new, decayed or not; biases and norms are not decayed, and
    frozen ones are in none. The last layers count as new even where they are kept."""
    parent = find_parent(recipe, recipe.data.classes, layers)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (parent is not None and _is_taken(name, parent, layers), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    settings = recipe.training
    return [
        {
            "params": parameters,
            "rate": settings.backbone_rate if taken else 1.0,
            "weight_decay": settings.weight_decay if decayed else 0.0,
        }
        for (taken, decayed), parameters in groups.items()
    ]


def lineage(recipe: Recipe, classes: tuple[str, ...], layers: Layers) -> dict[str, Any]:
    """What the first weights descend from, JSON-ready."""
    parent = find_parent(recipe, classes, layers)
    told = parent and {
        "file": parent.file.name,
        "sha256": hashlib.sha256(parent.file.read_bytes()).hexdigest(),
        "last_layer": "kept" if parent.keeps_last else "made anew",
    }
    return {"parent": told, "early_steps": list(recipe.training.early_steps)}


def find_parent(recipe: Recipe, classes: tuple[str, ...], layers: Layers) -> Parent | None:
    """What `start.weights` is; None for fresh weights. TrainingError if it is nothing, RecipeError if the run
    that it lies in has a damaged recipe."""
    if recipe.start.weights is None:
        return None
    file = weights_file(recipe.start.weights)
    before = _recipe_behind(file, recipe)
    of_body = bool(layers.body) and before is None
    if of_body:  # the whole network's tensors have the body's name in theirs, behind whatever wrappers left
        of_body = not any(f".{layers.body}." in f".{name}" for name in read_tensors(file))
    return Parent(file, before, before is not None and before.data.classes == classes, of_body)


def _recipe_behind(weights: Path, recipe: Recipe) -> Recipe | None:
    """The recipe of the training that wrote this file of weights; None if it is not a run folder of this task
    that it lies in."""
    run = RunFolder(weights.parent)
    # A recipe.toml alone may be anybody's, the new training's own too.
    if not (run.is_run and weights == run.weights_path(weights.stem)):
        return None
    table = read_toml(run.recipe_path)
    return validate(type(recipe), table, run.recipe_path) if table.get("task") == recipe.task else None


def _check_seen_alike(recipe: Recipe, parent: Parent) -> None:
    if parent.recipe is None:
        return
    for key in ("mean", "scale"):
        now, then = getattr(recipe.picture, key), getattr(parent.recipe.picture, key)
        if now != then:
            raise RecipeError(
                f"picture.{key} is {list(now)}, but {parent.file} was trained with {list(then)}; set it so"
            )


def _is_taken(name: str, parent: Parent, layers: Layers) -> bool:
    return name.startswith(f"{layers.body}.") if parent.of_body else not name.startswith(layers.last)
