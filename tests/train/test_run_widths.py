"""A run whose network is not as wide as its recipe says keeps the widths beside the weights."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tombola.errors import TrainingError
from tombola.train.networks.axis import widths
from tombola.train.recipe.recipe import to_toml
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.table import TASKS, load_network, load_recipe

NARROWER = {
    "detect": {"neck": 5, "stages.3": 3, "stages.2.0.hidden": 7},
    "classify": {"blocks.0.0": 3, "dense.0": 17},
}


def make_run(folder: Path, recipe_path: Path, narrower: dict[str, int]) -> RunFolder:
    """A run folder as a training leaves it, with a network of fresh weights."""
    recipe, run = load_recipe(recipe_path), RunFolder(folder)
    recipe = recipe.with_classes(("red", "blue"))
    network = TASKS[recipe.task].build(recipe, 2, narrower)
    run.write_recipe(to_toml(recipe))
    run.write_lineage({})
    run.write_weights("best", network.state_dict(), {})
    run.write_widths(widths(network))
    return run


@pytest.fixture(params=["detect", "classify"])
def narrow_run(
    request: pytest.FixtureRequest,
    make_toy_recipe: Callable[[Path], Path],
    digits_recipe: Path,
    tmp_path: Path,
) -> RunFolder:
    recipe = make_toy_recipe(tmp_path) if request.param == "detect" else digits_recipe
    return make_run(tmp_path / "run", recipe, NARROWER[request.param])


def test_a_run_is_loaded_as_wide_as_it_is(narrow_run: RunFolder) -> None:
    network, recipe = load_network(narrow_run.path)
    assert widths(network) == narrow_run.read_widths()
    assert NARROWER[recipe.task].items() <= widths(network).items()


def test_without_widths_the_recipes_hold(narrow_run: RunFolder) -> None:
    narrow_run.widths_path.unlink()
    assert narrow_run.read_widths() == {}
    with pytest.raises(TrainingError, match=r"best\.safetensors does not fit.*size mismatch"):
        load_network(narrow_run.path)


def test_widths_of_another_network_are_named(narrow_run: RunFolder) -> None:
    narrow_run.write_widths({"stages.9": 3})
    with pytest.raises(TrainingError, match=r"no axis 'stages\.9'"):
        load_network(narrow_run.path)


@pytest.mark.parametrize("content", ["", "[1]", '{"stem": 2.5}', '{"stem": true}', "\x00"])
def test_damaged_widths_are_named(content: str, narrow_run: RunFolder) -> None:
    narrow_run.widths_path.write_text(content)
    with pytest.raises(TrainingError, match=r"widths\.json"):
        load_network(narrow_run.path)
