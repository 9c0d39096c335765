"""`tombola init`: what it makes of a folder, and what it refuses."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from typer.testing import Result

from tombola.runtime import models
from tombola.train.start.model_file import read_model_file
from tombola.train.tasks.detect.recipe import DetectRecipe
from tombola.train.tasks.detect.task import DetectTask
from tombola.train.tasks.detect.task import load_split as detect_split
from tombola.train.tasks.table import load_recipe

Tombola = Callable[..., Result]

SPLITS = ("train", "valid", "test")

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture(autouse=True)
def cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    return place / "cache"


def photo(
    path: str | Path, seed: int = 0, *, width: int = 200, height: int = 150, grey: bool = False
) -> None:
    """Dark noise: red 0 … 99, green 50 … 149, blue 100 … 199, or all channels alike."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 100, (height, width, 1 if grey else 3)) + np.array([0 if grey else 100, 50, 0])
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image = np.broadcast_to(image[..., :1], (height, width, 3)) if grey else image
    assert cv2.imwrite(str(path), image.astype(np.uint8))


def yolo(root: str, names: list[str], *, box: str = ".5 .5 .4 .4", width: int = 200) -> None:
    for number, name in enumerate(names):
        photo(f"{root}/images/{name}.png", number, width=width)
        label = Path(f"{root}/labels/{name}.txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"{number % 2} {box}\n")
    Path(f"{root}/data.yaml").write_text("names: [cat, dog]\n")


def written(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(name).read_text(encoding="utf-8"))


def test_boxes_in_one_folder_are_divided(tombola: Tombola) -> None:
    yolo("my photos", [f"{number:02d}" for number in range(24)])
    result = tombola("init", "my photos")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "my-photos.toml: to detect (yolo, 2 classes; pictures: all 24)",
        "Next: tombola data check my-photos.toml",
        "then: tombola train my-photos.toml",
    ]
    recipe = load_recipe(Path("my-photos.toml"))
    sets = [{one.file_name for one in detect_split(recipe, split).records} for split in SPLITS]
    assert [len(one) for one in sets] == [16, 4, 4]
    assert len(set.union(*sets)) == 24
    table = written("my-photos.toml")
    assert (table["task"], table["data"]["root"], table["data"]["classes"]) == (
        "detect",
        "my photos",
        ["cat", "dog"],
    )
    assert table["training"]["batch_size"] <= 16


def test_a_detector_goes_on_from_the_one_that_ships(tombola: Tombola) -> None:
    yolo("photos", ["a", "b", "c", "d", "e", "f"])
    assert tombola("init", "photos").exit_code == 0
    recipe = load_recipe(Path("photos.toml"))
    assert isinstance(recipe, DetectRecipe)
    # Its network and picture are those of the weights, or they would be refused.
    network = DetectTask(recipe).build_network()
    shipped = read_model_file(Path(models.__path__[0]) / "voc-detector-dense.onnx").tensors
    torch.testing.assert_close(
        network.state_dict()["neck.smooths.0.weight"], shipped["neck.smooths.0.weight"]
    )
    assert network.roi_head.classes.out_features == 3


def test_public_weights_are_fetched_once(tombola: Tombola, cache: Path) -> None:
    for name in ("robin", "wren"):
        for number in range(3):
            photo(f"photos/{name}/{number}.jpg", number)
    assert "Once: tombola data get efficientnet_lite0" in tombola("init", "photos").stdout
    Path("photos.toml").unlink()
    (cache / "tombola" / "weights").mkdir(parents=True)
    (cache / "tombola" / "weights" / "efficientnet_lite0.safetensors").touch()
    assert "Once:" not in tombola("init", "photos").stdout


@pytest.mark.parametrize(
    ("box", "width", "size"),
    [(".5 .5 .4 .4", 200, 224), (".5 .5 .4 .4", 900, 320), (".5 .5 .025 .2", 1300, 640)],
    ids=["no larger than the pictures", "large things", "small things"],
)
def test_the_size_is_that_at_which_small_things_are_seen(
    tombola: Tombola, box: str, width: int, size: int
) -> None:
    # 0.025 · 1300 = 32.5 px by 0.2 · 150 = 30 px is 31 px of 1300: 12.3 px at 512, and 15.4 at 640.
    yolo("photos", ["a", "b", "c", "d", "e", "f"], box=box, width=width)
    assert tombola("init", "photos", "--fresh").exit_code == 0
    assert written("photos.toml")["picture"]["size"] == size


def test_fresh_weights_get_mean_and_scale_of_the_pictures(tombola: Tombola) -> None:
    yolo("photos", ["a", "b", "c", "d", "e", "f"])
    assert tombola("init", "photos", "--fresh", "--out", "made/mine.toml").exit_code == 0
    table = written("made/mine.toml")
    assert "start" not in table
    np.testing.assert_allclose(table["picture"]["mean"], [49.5, 99.5, 149.5], atol=1)
    # The standard deviation of 0 … 99 is √((100² - 1) / 12) = 28.87.
    np.testing.assert_allclose(table["picture"]["scale"], [1 / 28.87] * 3, rtol=0.02)
    # Seen from another folder the root is whole.
    assert Path(table["data"]["root"]) == Path("photos").resolve()


def test_classes_in_folders_by_set(tombola: Tombola) -> None:
    for seed, split in enumerate(("train", "val")):
        for name in ("robin", "wren"):
            for number in range(3):
                photo(f"birds/{split}/{name}/{number}.jpg", seed, width=300, height=260)
    result = tombola("init", "birds")
    assert result.exit_code == 0, result.stderr
    assert "birds.toml: to classify (folder, 2 classes; pictures: train 6, valid 6)" in result.stdout
    table = written("birds.toml")
    assert table["data"]["classes"] == ["robin", "wren"]
    assert (table["data"]["train"], table["data"]["valid"]) == (
        [{"pictures": "train"}],
        [{"pictures": "val"}],
    )
    assert "test" not in table["data"]
    assert table["picture"]["size"] == [224, 224]
    assert "no test set was found" in Path("birds.toml").read_text()


def test_small_grey_pictures_get_a_small_network_of_their_own(tombola: Tombola) -> None:
    for name in ("0", "1"):
        for number in range(6):
            photo(f"digits/{name}/{number}.png", number, width=28, height=28, grey=True)
    assert tombola("init", "digits").exit_code == 0
    table = written("digits.toml")
    picture = table["picture"]
    assert (picture["size"], picture["channels"], len(picture["mean"])) == ([28, 28], 1, 1)
    assert picture["mean"][0] == pytest.approx(49.5, abs=1)
    assert table["network"] == {"kind": "cnn"}
    assert "start" not in table
    assert "flip" not in table["augment"]


def test_a_recipe_that_is_there_is_left_alone(tombola: Tombola) -> None:
    yolo("photos", ["a", "b", "c", "d", "e", "f"])
    Path("photos.toml").write_text("mine")
    result = tombola("init", "photos")
    assert result.exit_code == 1
    assert "photos.toml exists already and is left as it is; give another name by --out" in result.stderr
    assert Path("photos.toml").read_text() == "mine"


def test_what_is_no_labelled_set_is_refused(tombola: Tombola) -> None:
    Path("empty").mkdir()
    photo("one/cat/1.jpg")
    photo("loose/1.jpg")
    yolo("test-only/test", ["a"])
    (Path("test-only/test/data.yaml")).unlink()
    photo("coco/images/1.jpg")
    Path("coco/a").mkdir()
    photo("coco/a/1.jpg")
    Path("coco/a/1.json").write_text("{}")
    for folder, words in (
        ("nowhere", "does not exist; give the folder of your pictures"),
        ("photo.jpg", "is neither a folder nor a YOLO data.yaml"),
        ("empty", "holds no labelled picture; known are a folder a class"),
        ("loose", "holds no labelled picture; known are a folder a class"),
        ("one", "holds the pictures of 1 class; known are"),
        ("test-only", "holds test but no train"),
        ("coco", "it looks like an annotation: these folders are no classes; known are"),
    ):
        result = tombola("init", folder)
        assert result.exit_code == 1, folder
        assert words in result.stderr, folder
        assert not Path(f"{folder}.toml").exists()


def test_names_that_toml_must_quote(tombola: Tombola) -> None:
    for name in ('he said "no"', "C:\\new\x7f", "日本"):
        for number in range(3):
            photo(f"odd/{name}/{number}.png", number, width=40, height=40)
    assert tombola("init", "odd").exit_code == 0
    assert set(written("odd.toml")["data"]["classes"]) == {'he said "no"', "C:\\new\x7f", "日本"}


def test_a_picture_that_cannot_be_read_is_passed_over(tombola: Tombola) -> None:
    yolo("photos", ["a", "b", "c", "d", "e", "f"])
    Path("photos/images/a.png").write_bytes(b"no picture")
    assert tombola("init", "photos").exit_code == 0
    for path in Path("photos/images").iterdir():
        path.write_bytes(b"no picture")
    result = tombola("init", "photos", "--out", "again.toml")
    assert result.exit_code == 1
    assert "no picture can be read" in result.stderr


def test_the_pictures_of_a_recipe_are_shown(tombola: Tombola) -> None:
    yolo("photos", [f"{number:02d}" for number in range(8)])
    assert tombola("init", "photos", "--fresh").exit_code == 0
    result = tombola("data", "show", "photos.toml", "--pictures", "3", "--save", "look")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == ["look/labelled.png", "look/augmented.png"]
    for name in result.stdout.split():
        sheet = cv2.imread(name)
        assert sheet is not None
        assert sheet.shape[1] > 3 * 240
