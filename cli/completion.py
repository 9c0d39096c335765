"""What a shell offers for the Tab key beside commands, options and files."""

import os
from pathlib import Path

SPLITS = ("train", "valid", "test")


def recipes(incomplete: str) -> list[str]:
    """Recipes that come along, and what may be a recipe or a run, or lead to one, in the file system."""
    from tombola.train import recipes

    shipped = sorted(path.stem for path in Path(recipes.__path__[0]).glob("*.toml"))
    folder, _, start = incomplete.rpartition("/")
    inside = Path(f"{folder}/" if "/" in incomplete else "").expanduser()
    found = sorted(inside.iterdir()) if inside.is_dir() else []
    paths = [
        f"{incomplete.removesuffix(start)}{path.name}{'/' if path.is_dir() else ''}"
        for path in found
        if path.suffix == ".toml" or (path.is_dir() and not path.name.startswith("."))
    ]
    return [name for name in (*shipped, *paths) if name.startswith(incomplete)]


def data_names(incomplete: str) -> list[str]:
    """Data sets and weights that can be had."""
    from tombola.train.download.catalogue import DATA_SETS
    from tombola.train.download.weights import WEIGHTS

    return [one.name for one in (*DATA_SETS, *WEIGHTS) if one.name.startswith(incomplete)]


def splits(incomplete: str) -> list[str]:
    """The sets of a recipe."""
    return [name for name in SPLITS if name.startswith(incomplete)]


def set_keys(incomplete: str) -> list[str]:
    """Keys of the recipe on the command line, or of those of every task."""
    keys = _keys()
    known = keys.get(_task()) or [key for own in keys.values() for key in own]
    return [f"{key}=" for key in dict.fromkeys(known) if key.startswith(incomplete)]


def _task() -> str:
    """The task of the recipe, or the run, that the command line names; "" where that cannot be told."""
    import tomllib

    from tombola.cli.recipe_path import find_recipe

    # Of an option without its value nothing before it is told, so the shell's own line is asked.
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    for word in line.split()[2:]:
        path = Path(word) / "recipe.toml" if Path(word).is_dir() else find_recipe(Path(word))
        try:
            return str(tomllib.loads(path.read_text("utf-8"))["task"])
        except (OSError, ValueError, KeyError):
            continue
    return ""


def _keys() -> dict[str, list[str]]:
    """Task -> its keys. To ask the settings themselves takes seconds, so they are kept as long as Tombola's
    files are the same."""
    import hashlib
    from json import dumps, loads

    import tombola.train
    from tombola.train.download.weights import cache_folder

    files = sorted(Path(tombola.train.__path__[0]).rglob("*.py"))
    mark = hashlib.sha256(repr([(str(file), file.stat().st_mtime_ns) for file in files]).encode()).hexdigest()
    kept = cache_folder() / "recipe-keys.json"
    try:
        table = loads(kept.read_text(encoding="utf-8"))
        if table["of"] == mark:
            return dict(table["keys"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    from tombola.train.init.reference import key_paths
    from tombola.train.run.folder import write_atomic
    from tombola.train.tasks.table import TASKS

    keys = {task: key_paths(task) for task in TASKS}
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, dumps({"of": mark, "keys": keys}).encode())
    except OSError:
        pass  # next time it takes as long
    return keys
