import re
from pathlib import Path

import pytest

from tombola.errors import RecipeError
from tombola.train import recipes
from tombola.train.recipe.recipe import to_toml
from tombola.train.tasks.table import load_recipe


def test_a_resolved_recipe_reads_back_equal(toy_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(toy_recipe)
    again = tmp_path / "again.toml"
    again.write_text(to_toml(recipe))
    assert load_recipe(again) == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", r"training\.epoch is not a known key"),
        ("training.epochs=many", r"training\.epochs = 'many'"),
        ("training.epochs=0", r"training\.epochs = 0: .*greater than or equal to 1"),
        ("training.optimizer=lion", r"training\.optimizer = 'lion'.*'adamw', 'adam' or 'sgd'"),
        ("augment.flp=0.5", r"augment\.flp is not a known key"),
        ("roi.pooling=max", r"roi\.pooling = 'max'.*'align' or 'pool'"),
        ("proposals.anchor_sizes_px=[[8]]", r"anchor_sizes_px needs 3 lists"),
        ("task=segment", r"task = 'segment' is not known"),
        ("training.epochs", r"has no '='"),
        ("seed.deep=1", r"seed is a value, not a table"),
        ("seed=-1", r"seed = -1"),
        ("roi.width=0", r"roi\.width = 0"),
        ("roi.dropout=1.0", r"roi\.dropout = 1\.0"),
        ("roi.samples=0", r"roi\.samples = 0"),
        ("proposals.positive_share=2.0", r"proposals\.positive_share = 2\.0"),
        ("proposals.after_nms=0", r"proposals\.after_nms = 0"),
        ("proposals.anchor_ratios=[0.0]", r"proposals\.anchor_ratios\.0 = 0\.0"),
        ("proposals.anchor_sizes_px=[[], [], []]", r"proposals\.anchor_sizes_px\.0"),
        ("picture.training_sizes=[16]", r"picture\.training_sizes\.0 = 16"),
        ("picture.scale=[0, 0, 0]", r"picture\.scale\.0 = 0"),
        ("picture.mean=[300, 0, 0]", r"picture\.mean\.0 = 300"),
        ("training.epoch=3", r"did you mean training\.epochs\?"),
        ("augment.flp=0.5", r"did you mean augment\.flip\?"),
        ("training.learning_rate=inf", r"learning_rate = inf: should be a finite number"),
        ("training.early_steps=[0]", r"early_steps\.0 = 0"),
        ("name=../elsewhere", r"'\.\./elsewhere' would not be one folder under runs"),
        ("name=", r"'' would not be one folder"),
        ("=3", r"'=3' names no key"),
        ("roi=3", r"roi = 3: should be a table"),
        ("training.lr=3", r"training\.lr is not a known key; remove it"),
        ("network.kind=3", r"network\.kind is not a known key; remove it"),
        ("data=3", r"data = 3: should be a table"),
        ("data.root=3", r"data\.root = 3: should be a valid string"),
        ("start.weights=[3]", r"start\.weights = \[3\]: should be a valid string"),
    ],
)
def test_a_wrong_setting_is_named(toy_recipe: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(toy_recipe, [override])


def test_every_fault_is_named_at_once(toy_recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"training\.epochs.*training\.colour"):
        load_recipe(toy_recipe, ["training.epochs=-1", "training.colour='red'"])


def test_overrides_are_toml_or_text(toy_recipe: Path) -> None:
    recipe = load_recipe(
        toy_recipe, ["training.epochs=7", "name=my detector", "picture.training_sizes=[32, 64]"]
    )
    assert (recipe.training.epochs, recipe.name) == (7, "my detector")
    assert recipe.picture.training_sizes == (32, 64)


def test_one_key_of_a_section_keeps_the_other_defaults(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe, ["proposals={ after_nms = 30 }"])
    assert recipe.proposals.after_nms == 30
    assert len(recipe.proposals.anchor_sizes_px) == 3


def test_missing_or_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="does not exist"):
        load_recipe(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("task = ")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(broken)
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("path", sorted(Path(recipes.__path__[0]).glob("*.toml")))
def test_recipes_that_ship_are_valid(path: Path) -> None:
    assert f'name = "{path.stem}"' in to_toml(load_recipe(path))


def test_paths_are_meant_from_the_recipe_and_in_an_override_from_the_current_folder(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert load_recipe(toy_recipe, ["data.root=photos"]).data.root == here / "photos"
    inside = toy_recipe.parent / "inside.toml"
    text = re.sub(r"(?m)^root = .*$", 'root = "photos"', toy_recipe.read_text())
    inside.write_text(text.replace("[network]", '[start]\nweights = "w.safetensors"\n[network]'))
    assert load_recipe(inside).data.root == tmp_path / "photos"
    assert load_recipe(inside).start.weights == tmp_path / "w.safetensors"
    # A whole table that is typed, and a recipe that says nothing of its root.
    both = load_recipe(inside, ["start={ weights = 'v.pth' }", f"data={{ train = {SOURCES} }}"])
    assert (both.start.weights, both.data.root) == (here / "v.pth", tmp_path)
    assert load_recipe(inside, ["start.weights="]).start.weights is None


SOURCES = "[{ annotations = 'a.json', pictures = 'p' }]"


def test_elder_keys_of_a_detector_are_read_as_a_start(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elder = ["network.backbone_weights=w.safetensors", "network.frozen_stages=2"]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    start = load_recipe(toy_recipe, elder).start
    assert (start.weights, start.freeze) == (tmp_path / "here" / "w.safetensors", "backbone.stages.1")
    none = load_recipe(toy_recipe, ["network.backbone_weights=", "network.frozen_stages=0"])
    assert none == load_recipe(toy_recipe)
    with pytest.raises(RecipeError, match=r"network\.backbone_weights is not a known key"):
        load_recipe(toy_recipe, [*elder, "start.weights=v.safetensors"])


def test_a_recipe_that_ships_takes_its_data_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = Path(recipes.__path__[0]) / "fashion-mnist.toml"
    assert load_recipe(shipped).data.root == tmp_path / "data" / "fashion-mnist"


CLASSIFIER = """
task = "classify"
[data]
train = [{ pictures = "train" }]
[network]
kind = "cnn"
"""


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.kind=resnet21", r"network\.kind = 'resnet21' is not known; choose 'mlp', 'cnn'"),
        ("network={}", r"network\.kind is missing"),
        ("network.kernel=2", r"network: kernel = 2 cannot keep the sides"),
        ("network.blocks=[[0]]", r"network\.blocks\.0\.0 = 0: should be greater than or equal to 1$"),
        ("network.widths=[3]", r"network\.widths is not a known key; other kinds have it"),
        ("picture.size=32", r"picture\.size = 32: should be a list"),
        ("picture.size=[32]", r"picture\.size = \[32\]: number 2 is missing"),
        ("picture.channels=1", r"picture: mean = .* has 3 numbers for channels = 1"),
        ("data.train=[]", r"data\.train = \[\]: should have at least 1 item"),
        ("data.train=[{picture='a'}]", r"\.pictures is missing; .*did you mean data\.train\.pictures\?$"),
        ("augment=3", r"augment = 3: should be a table"),
    ],
)
def test_a_classifiers_faults_are_named_as_the_file_has_them(
    override: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(CLASSIFIER)
    with pytest.raises(RecipeError, match=message):
        load_recipe(path, [override])
