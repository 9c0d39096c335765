"""What the README shows must hold: its recipes are read as they stand."""

import re
from pathlib import Path

import pytest

from tombola.train.recipe.recipe import to_toml
from tombola.train.tasks.table import load_recipe

README = Path(__file__).parent.parent / "README.md"
RECIPES = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", RECIPES, ids=[text.splitlines()[0] for text in RECIPES])
def test_its_recipes_are_valid(text: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    assert "[training]" in to_toml(load_recipe(path))


def test_it_shows_a_recipe_of_each_task() -> None:
    assert {text.splitlines()[0] for text in RECIPES} == {'task = "detect"', 'task = "classify"'}
