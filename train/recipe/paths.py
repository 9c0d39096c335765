"""Paths in a recipe, and the folder that a relative one is meant from."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from tombola.train import recipes
from tombola.train.download.weights import named_weights


class Typed(str):
    """Text of an override: a relative path in it is meant from the current folder."""


def typed(value: Any) -> Any:
    """A TOML value with every text in it marked as typed."""
    if isinstance(value, dict):
        return {key: typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [typed(one) for one in value]
    return Typed(value) if isinstance(value, str) else value


def base_folder(recipe: Path) -> Path:
    """Where the relative paths in a recipe are meant from: its own folder, or, if it came with Tombola, the
    current one."""
    folder = recipe.resolve().parent
    return Path.cwd() if folder == Path(recipes.__path__[0]).resolve() else folder


def _located(value: Any, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    folder = Path.cwd() if isinstance(value, Typed) or info.context is None else info.context
    return (folder / value).resolve()


# Absolute once read.
RecipePath = Annotated[Path, BeforeValidator(_located)]


def _weights(value: Any, info: ValidationInfo) -> Path | None:
    if value is None or value == "":
        return None
    path = _located(value, info)
    # A file or folder of that name comes first: a run may be called resnet18.
    return path if path.exists() else named_weights(str(value)) or path


# A run folder, a file of weights, or some by name. "" is none.
WeightsPath = Annotated[Path | None, BeforeValidator(_weights)]
