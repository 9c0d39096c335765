"""Labelled pictures -> a first recipe: the whole of `tombola init`."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tombola.errors import OutputError
from tombola.train.init.found import Found, look_at
from tombola.train.init.text import recipe_text
from tombola.train.recipe.recipe import Recipe, validate
from tombola.train.run.folder import check_place, write_atomic
from tombola.train.tasks.table import TASKS


@dataclass(frozen=True)
class FirstRecipe:
    """Where it was written, what it says, and what it was made from."""

    path: Path
    recipe: Recipe
    found: Found


def first_recipe(folder: Path, out: Path | None = None, *, fresh: bool = False) -> FirstRecipe:
    """Look at a folder of labelled pictures (or a YOLO data.yaml) and write a commented recipe for it,
    NAME.toml in the current folder by default.

    fresh: the network starts from fresh weights, not from public ones. DataError if the folder holds no
    labels that are known; OutputError if there is such a file already.
    """
    name = re.sub(r"[^\w-]+", "-", (folder if folder.is_dir() else folder.parent).resolve().name).strip("-_")
    path = out or Path(f"{name or 'first'}.toml")
    check_place(path, ".toml")
    if path.exists():
        raise OutputError(f"{path} exists already and is left as it is; give another name by --out")
    found = look_at(folder)
    text = recipe_text(found, _written_root(found.root, path), name or "first", fresh=fresh)
    # What is written is a recipe that can be read.
    recipe = validate(TASKS[found.task].recipe, tomllib.loads(text), path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())
    return FirstRecipe(path, recipe, found)


def _written_root(root: Path, recipe: Path) -> str:
    """The root as seen from the recipe's folder where it lies in it, else whole."""
    root, folder = root.resolve(), recipe.resolve().parent
    return root.relative_to(folder).as_posix() if root.is_relative_to(folder) else str(root)
