"""What a network starts from: its first weights, which of them are new, and what the lineage says of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from tombola.errors import RecipeError, TrainingError
from tombola.train.recipe.recipe import Recipe, TaughtRecipe, read_toml, validate
from tombola.train.run.folder import RunFolder
from tombola.train.start.freeze import freeze_up_to
from tombola.train.start.model_file import ModelFile, load_model_file, read_model_file
from tombola.train.start.start import load_start, read_tensors, weights_file


@dataclass(frozen=True)
class Layers:
    """What a task's networks are made of: the prefixes of the names of the last layers, which other classes
    need anew, and of the part, if there is one, that public weights are for alone."""

    last: tuple[str, ...]
    body: str = ""


@dataclass(frozen=True)
class Parent:
    """The weights in `file`, and what is known of them.

    keeps_last: whether the last layers are taken over too, for they tell the very same classes apart.
    of_body: whether the weights are those of the body alone.
    of_encoder: whether they are a generator's, whose encoder is the network but for its last layers.
    seen: mean and scale of the pictures that they learned from; empty if nothing says it.
    rights: whose those pictures are; "" if nothing says it.
    model: the file read, if it is an exported model.
    """

    file: Path
    keeps_last: bool = False
    of_body: bool = False
    of_encoder: bool = False
    seen: Mapping[str, Sequence[float]] = field(default_factory=dict)
    rights: str = ""
    model: ModelFile | None = None


def start_network(
    network: nn.Module,
    recipe: Recipe,
    classes: tuple[str, ...],
    layers: Layers,
    *,
    norms_learn: bool = True,
) -> None:
    """Give the network the weights of `start.weights`.

    norms_learn: whether its batch norms will learn statistics. Raises TrainingError for weights that do not
    fit, RecipeError for weights that learnt from pictures which were normalised otherwise.
    """
    parent = find_parent(recipe, classes, layers)
    if parent is not None and parent.of_body:
        load_start(network.get_submodule(layers.body), parent.file, of_more=True)
    elif parent is not None:
        fresh = () if parent.keeps_last else layers.last
        if parent.model is None:
            load_start(network, parent.file, fresh=fresh, part="encoder" if parent.of_encoder else "")
        else:
            load_model_file(network, parent.model, fresh=fresh, norms_learn=norms_learn)
        check_seen_alike(recipe, parent.seen, parent.file)


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
        **({"data": parent.rights} if parent.rights else {}),
    }
    teacher = recipe.distill.teacher if isinstance(recipe, TaughtRecipe) else None
    taught = {"teacher": teacher.name} if teacher else {}
    return {"parent": told, **taught, "early_steps": list(recipe.training.early_steps)}


def find_parent(recipe: Recipe, classes: tuple[str, ...], layers: Layers) -> Parent | None:
    """What `start.weights` is; None for fresh weights. TrainingError if it is nothing, RecipeError if the run
    that it lies in has a damaged recipe."""
    if recipe.start.weights is None:
        return None
    file = weights_file(recipe.start.weights)
    if file.suffix == ".onnx":
        model = read_model_file(file)
        if model.task != recipe.task:
            raise TrainingError(f"start.weights: {file} is for {model.task}, the recipe for {recipe.task}")
        return Parent(file, model.classes == classes, seen=model.seen, rights=model.rights, model=model)
    table = _recipe_behind(file)
    if table.get("task") == "generate" != recipe.task:
        seen = {key: table["picture"][key] for key in ("mean", "scale")}
        return Parent(file, of_encoder=True, seen=seen, rights=table["data"].get("rights", ""))
    if table.get("task") == recipe.task:
        before = validate(type(recipe), table, RunFolder(file.parent).recipe_path)
        picture = before.picture
        return Parent(
            file,
            before.data.classes == classes,
            seen={"mean": picture.mean, "scale": picture.scale},
            rights=before.data.rights,
        )
    # The whole network's tensors have the body's name in theirs, behind whatever wrappers left.
    of_body = bool(layers.body) and not any(f".{layers.body}." in f".{name}" for name in read_tensors(file))
    return Parent(file, of_body=of_body)


def _recipe_behind(weights: Path) -> dict[str, Any]:
    """The resolved recipe of the training that wrote this file of weights; empty if it is not a run folder
    that it lies in."""
    run = RunFolder(weights.parent)
    # A recipe.toml alone may be anybody's, the new training's own too.
    if not (run.is_run and weights == run.weights_path(weights.stem)):
        return {}
    return read_toml(run.recipe_path)


def check_seen_alike(recipe: Recipe, seen: Mapping[str, Sequence[float]], file: Path) -> None:
    """RecipeError if the weights in `file` learnt from pictures of another mean or scale than now."""
    for key, then in seen.items():
        now = getattr(recipe.picture, key)
        # A file keeps them in float32.
        if len(now) != len(then) or not np.allclose(now, then, rtol=1e-6, atol=0):
            raise RecipeError(
                f"picture.{key} is {list(now)}, but {file} was trained with {list(then)}; set it so"
            )


def _is_taken(name: str, parent: Parent, layers: Layers) -> bool:
    return name.startswith(f"{layers.body}.") if parent.of_body else not name.startswith(layers.last)
