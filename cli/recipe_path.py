"""Which file a RECIPE on the command line means."""

from pathlib import Path


def find_recipe(recipe: Path) -> Path:
    """The recipe itself or, if there is no such file, the one of that name that ships."""
    from tombola.train import recipes

    shipped = Path(recipes.__path__[0]) / recipe.with_suffix(".toml").name
    return shipped if not recipe.exists() and recipe.parent == Path() and shipped.is_file() else recipe
