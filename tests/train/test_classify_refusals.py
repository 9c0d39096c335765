"""What a classifier cannot be trained on, told before a training begins."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tombola.errors import DataError, RecipeError
from tombola.train.data.present import check_present
from tombola.train.tasks.classify.task import ClassifyTask
from tombola.train.tasks.table import load_recipe
from tombola.train.train import preflight_recipe, train_recipe

RECIPE = """
task = "classify"
[data]
train = [{ pictures = "photos" }]
[picture]
size = [8, 8]
[network]
kind = "mlp"
widths = [4]
"""


def recipe_for(folder: Path, *classes: str) -> Path:
    for name in classes:
        place = folder / "photos" / name
        place.mkdir(parents=True)
        cv2.imwrite(str(place / "0.png"), np.zeros((8, 8, 3), np.uint8))
    path = folder / "recipe.toml"
    path.write_text(RECIPE)
    return path


def test_one_class_is_none(tmp_path: Path) -> None:
    # As when the class folders lie a level too deep.
    recipe = recipe_for(tmp_path, "all/cat", "all/dog")
    with pytest.raises(DataError, match="one class, 'all'"):
        ClassifyTask(load_recipe(recipe))


def test_a_missing_test_set_is_told_before_the_training(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, "cat", "dog")
    missing = ["data.test=[{pictures='nope'}]"]
    with pytest.raises(DataError, match=r"data\.test names .*nope, which does not exist"):
        train_recipe(recipe, tmp_path / "run", overrides=missing, device="cpu")
    with pytest.raises(DataError, match=r"data\.test names .*nope, which does not exist"):
        preflight_recipe(recipe, tmp_path / "run", overrides=missing, device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["test [1]", "batch_*", "a**b*"])
def test_a_name_with_the_signs_of_a_pattern_is_there_if_it_or_a_match_is(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        check_present(tmp_path, [name], "data.test")
    (tmp_path / name.replace("_*", "_1").replace("**b*", "-b-")).mkdir()
    check_present(tmp_path, [name, str(tmp_path / name)], "data.test")


def test_batch_norm_needs_two_pictures(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, "cat", "dog")
    alone = ("training.batch_size=1", "network.batch_norm=true")
    with pytest.raises(RecipeError, match=r"training\.batch_size = 1; raise it"):
        ClassifyTask(load_recipe(recipe, alone)).build_network()
    ClassifyTask(load_recipe(recipe, alone[:1])).build_network()
