"""A run whose network is not as wide as its recipe says keeps the widths beside the weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tombola.errors import TrainingError
from tombola.train.doctor.report import write_report
from tombola.train.loop import loop
from tombola.train.networks.axis import widths
from tombola.train.recipe.recipe import to_toml
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.table import TASKS, load_network, load_recipe, open_task
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

NARROWER = {
    "detect": {"neck": 5, "stages.3": 3, "stages.2.0.hidden": 7},
    "classify": {"blocks.0.0": 3, "dense.0": 17},
}
CLASSES = {"detect": ("red", "blue"), "classify": tuple("0123456789")}


def make_run(folder: Path, recipe_path: Path, narrower: dict[str, int]) -> RunFolder:
    """A run folder as a training leaves it, with a network of fresh weights."""
    recipe, run = load_recipe(recipe_path), RunFolder(folder)
    recipe = recipe.with_classes(CLASSES[recipe.task])
    network = TASKS[recipe.task].build(recipe, len(recipe.data.classes), narrower)
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


def test_a_narrow_run_is_trained_anew_and_told_about_as_wide_as_it_is(
    narrow_run: RunFolder, tmp_path: Path
) -> None:
    new = train_recipe(narrow_run.recipe_path, tmp_path / "new", device="cpu", quiet=True)
    assert new.read_widths() == narrow_run.read_widths()
    network, _ = load_network(new.path)
    assert widths(network) == narrow_run.read_widths()
    task = open_task(narrow_run.recipe_path)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert f"{count:,}" in write_report(new, task).read_text()


def test_a_narrow_run_goes_on_to_the_same_bits(
    narrow_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_recipe(narrow_run.recipe_path, tmp_path / "whole", device="cpu", quiet=True)
    elsewhere = tmp_path / "elsewhere.toml"  # the recipe alone says nothing of widths
    elsewhere.write_bytes(narrow_run.recipe_path.read_bytes())
    step = loop._Training._train_step

    def killed(training: loop._Training, batch: object) -> None:
        if training.step == 3:
            training._save_checkpoint()
            raise KeyboardInterrupt
        step(training, batch)

    cut = tmp_path / "cut"
    monkeypatch.setattr(loop._Training, "_train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train_recipe(narrow_run.recipe_path, cut, device="cpu", quiet=True)
    monkeypatch.undo()
    train_recipe(elsewhere, cut, resume=True, device="cpu", quiet=True)
    assert load_file(cut / "last.safetensors").keys() == load_file(whole.path / "last.safetensors").keys()
    assert (cut / "last.safetensors").read_bytes() == (whole.path / "last.safetensors").read_bytes()


def test_widths_of_no_run_are_not_written_over(narrow_run: RunFolder, tmp_path: Path) -> None:
    narrow_run.recipe_path.rename(tmp_path / "recipe.toml")
    for path in narrow_run.path.iterdir():
        if path != narrow_run.widths_path:
            path.unlink()
    with pytest.raises(TrainingError, match=r"is no run folder.*widths\.json"):
        train_recipe(tmp_path / "recipe.toml", narrow_run.path, device="cpu", quiet=True)
