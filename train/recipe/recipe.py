"""Recipes: TOML files that become validated, frozen settings."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tombola.errors import RecipeError
from tombola.train.recipe.faults import fault_sentences
from tombola.train.recipe.paths import RecipePath, WeightsPath, base_folder, typed
from tombola.train.recipe.text_file import read_text

Settings = TypeVar("Settings", bound=BaseModel)

MOST_BYTES = 4_000_000
MOST_LEVELS = 20
LONGEST_REASON = 300  # characters
# Python's reader takes seconds for a key of thousands of parts. Possessive, so that looking takes none.
_DEEP_KEY = re.compile(rf"(?<![\w\"'.-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){{{MOST_LEVELS + 1}}}")


class Section(BaseModel):
    """A table of a recipe: unknown keys are errors, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _check_name(name: str) -> str:
    if not name or name.startswith(".") or any(sign in name for sign in "/\\\0"):
        raise ValueError(
            f"{name!r} would not be one folder under runs; use letters, and neither / nor a dot first"
        )
    return name


RunName = Annotated[str, AfterValidator(_check_name)]
Step = Annotated[int, Field(ge=1)]
Level = Annotated[float, Field(ge=0, le=255)]
Scale = Annotated[float, Field(gt=0)]


class TrainingSettings(Section):
    """What the training loop needs to know; the same for every task.

    epochs: how often each picture is seen. optimizer "sgd" uses momentum. clip_norm bounds the norm of all
    gradients. precision "bf16-mixed" halves the time where the processor has it. evaluate_every: epochs from
    one validation to the next. workers: processes that load pictures. log: where losses and scores go besides
    metrics.csv, "" is nowhere else.

    batch_size counts pictures over all processes. learning_rate is the peak, reached after warmup_steps, or
    after a fifth of all steps if that is sooner, and brought down to final_rate of it by half a cosine.
    backbone_rate multiplies it for pretrained weights.
    ema_decay 0 turns the moving average off. early_stopping_epochs 0 turns early stopping off.
    checkpoint_minutes: how often the state is saved inside an epoch. early_steps: optimiser steps whose
    weights are kept (tickets rewind to them).
    l1 and l2 are penalties in the loss, l1·‖w‖₁ + l2·½‖w‖² over all weights but biases and norms;
    weight_decay shrinks the weights beside the loss (decoupled) under adamw; under sgd and adam its gradient
    weight_decay·w joins that of the loss, after clipping. max_norm bounds the norm of the weights that
    lead into a unit, 0 is no bound. watch_every: steps between two looks at gradients, updates and units;
    0 is never.
    """

    epochs: int = Field(default=12, ge=1)
    batch_size: int = Field(default=16, ge=1)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(default=5e-4, gt=0)
    backbone_rate: float = Field(default=0.5, ge=0)
    final_rate: float = Field(default=0.01, ge=0, le=1)
    warmup_steps: int = Field(default=200, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    l1: float = Field(default=0.0, ge=0)
    l2: float = Field(default=0.0, ge=0)
    max_norm: float = Field(default=0.0, ge=0)
    clip_norm: float = Field(default=10.0, gt=0, allow_inf_nan=True)  # inf is no clipping
    ema_decay: float = Field(default=0.998, ge=0, lt=1)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    evaluate_every: int = Field(default=1, ge=1)
    early_stopping_epochs: int = Field(default=0, ge=0)
    checkpoint_minutes: float = Field(default=3.0, ge=0)
    early_steps: tuple[Step, ...] = (100,)
    watch_every: int = Field(default=100, ge=0)
    workers: int = Field(default=1, ge=0)
    log: Literal["", "csv", "tensorboard", "mlflow"] = ""


class DataSettings(Section):
    """What is the same for every task: the folder that the pictures lie under, the names of the classes in
    the order of the labels, and whose the pictures are."""

    root: RecipePath = Field(default=Path(), validate_default=True)
    classes: tuple[str, ...] = ()
    rights: str = ""


class PictureSettings(Section):
    """What is the same for every task: the network sees (x - mean) * scale of 0..255, one number a
    channel."""

    mean: tuple[Level, ...]
    scale: tuple[Scale, ...]


class StartSettings(Section):
    """What the first weights are taken from: a run folder, a file of weights, an .onnx that `tombola export`
    wrote, public ones by the name that `tombola data get` knows ("efficientnet_lite0"), or the detector that
    ships ("voc-detector"); fresh ones without it.

    The last layers are made anew, unless they are a run's or an .onnx's with the same classes in one order.
    `freeze` names the last of the layers, counted from the picture, that keep their weights.
    """

    weights: WeightsPath = None
    freeze: str = ""


class DistillSettings(Section):
    """Another network of this task and these classes to learn from beside the labels (Hinton et al. 2015).

    teacher: a run folder, or an .onnx that `tombola export` wrote of a network as this recipe has it; none
    without it. Of each batch a classifier tells its class scores, softened by temperature, a detector also
    its maps, proposals and boxes; the distance from them, `weight` times, is part of the loss.
    """

    teacher: WeightsPath = None
    weight: float = Field(default=1.0, gt=0)
    temperature: float = Field(default=2.0, gt=0)


class Recipe(Section):
    """What every task's recipe has."""

    task: str
    name: RunName
    seed: int = Field(default=0, ge=0, lt=2**31)
    data: DataSettings
    picture: PictureSettings
    start: StartSettings = StartSettings()
    training: TrainingSettings = TrainingSettings()

    def with_classes(self, classes: tuple[str, ...]) -> Self:
        """The same recipe with data.classes filled in."""
        return self.model_copy(update={"data": self.data.model_copy(update={"classes": classes})})


class TaughtRecipe(Recipe):
    """What the recipe of a task has whose networks may learn from others."""

    distill: DistillSettings = DistillSettings()


def read_toml(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The table in `path`, changed by overrides of the form "training.epochs=3" (the value is TOML, or else
    text, and marked as `Typed`).

    Raises RecipeError if the file is missing, is not TOML, is nested beyond MOST_LEVELS, or an override has
    no "=".
    """
    try:
        text = read_text(path, MOST_BYTES)
    except FileNotFoundError:
        raise RecipeError(f"recipe {path} does not exist; give the path of a .toml file") from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from None
    if _DEEP_KEY.search(text):
        raise _too_deep(path)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits, too
        raise RecipeError(f"recipe {path} is not valid TOML: {str(error)[:LONGEST_REASON]}") from None
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise RecipeError(f"override {override!r} has no '='; write it as training.epochs=3")
        *parents, last = key.strip().split(".")
        if not last:
            raise RecipeError(f"override {override!r} names no key; write it as training.epochs=3")
        place = table
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise RecipeError(f"override {override!r}: {parent} is a value, not a table")
        place[last] = typed(_toml_value(text.strip()))
    _check_levels(table, path)
    return table


def _check_levels(table: dict[str, Any], path: Path) -> None:
    """RecipeError if tables and lists lie in each other deeper than any recipe's do."""
    inside: list[Any] = [table]
    for _ in range(MOST_LEVELS):
        inside = [
            one
            for whole in inside
            for one in (whole.values() if isinstance(whole, dict) else whole)
            if isinstance(one, dict | list)
        ]
    if inside:
        raise _too_deep(path)


def _too_deep(path: Path) -> RecipeError:
    return RecipeError(f"recipe {path} is nested deeper than {MOST_LEVELS} levels; take the nesting out")


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def validate(model: type[Settings], table: dict[str, Any], path: Path) -> Settings:
    """The table of the file `path` as settings of type `model`, its paths made absolute; RecipeError lists
    every key that is unknown or wrong, with its value."""
    try:
        return model.model_validate(table, context=base_folder(path))
    except ValidationError as error:
        raise RecipeError(f"{path}: " + "; ".join(fault_sentences(error, model, table))) from None


def to_toml(settings: BaseModel) -> str:
    """The settings as TOML text that `validate` reads back to an equal value."""
    return tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True))
