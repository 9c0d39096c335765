"""Data folders as tools lay them out, lists that choose pictures, and pictures that two sets share."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import Result

from tombola.errors import DataError, RecipeError
from tombola.train.data.boxes import formats
from tombola.train.data.boxes.layouts import find_sets
from tombola.train.tasks.detect.task import load_split
from tombola.train.tasks.table import load_recipe

Layout = Callable[[Path], None]
Tombola = Callable[..., Result]
SPLITS = ("train", "valid", "test")


def noise(seed: int) -> NDArray[np.uint8]:
    """A picture of 100 × 80 pixels unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 10, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (100, 80), interpolation=cv2.INTER_CUBIC), np.uint8)


def picture(path: Path, image_u8: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image_u8)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


LINE = "0 .25 .5 .3 .5"
VOC = (
    "<annotation><object><name>cat</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax>"
    "<ymax>60</ymax></bndbox></object></annotation>"
)


def coco(name: str) -> str:
    box = {"image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40]}
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": name}],
            "annotations": [box],
            "categories": [{"id": 1, "name": "cat"}],
        }
    )


def yolo_by_set(root: Path) -> None:
    for seed, split in enumerate(SPLITS):
        picture(root / "images" / split / f"{seed}.png", noise(seed))
        text(root / "labels" / split / f"{seed}.txt", LINE)
    text(
        root / "data.yaml",
        "train: images/train\nval: images/valid\ntest: images/test\nnames: [cat]\n",
    )


def yolo_export(root: Path) -> None:
    """Roboflow's, whose data.yaml names folders one too high."""
    for seed, split in enumerate(SPLITS):
        picture(root / split / "images" / f"{seed}.png", noise(seed))
        text(root / split / "labels" / f"{seed}.txt", LINE)
    text(
        root / "data.yaml",
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: ['cat']\n",
    )


def yolo_lists(root: Path) -> None:
    for seed, split in enumerate(SPLITS):
        picture(root / "images" / f"{seed}.png", noise(seed))
        text(root / "labels" / f"{seed}.txt", LINE)
        text(root / f"{split}.txt", f"./images/{seed}.png\n")
    text(root / "data.yaml", "path: .\ntrain: train.txt\nval: valid.txt\ntest: test.txt\nnames: {0: cat}\n")


def images_and_labels(root: Path) -> None:
    yolo_by_set(root)
    (root / "data.yaml").write_text("names: [cat]")


def voc_root(root: Path) -> None:
    for seed, split in enumerate(("train", "val", "test")):
        picture(root / "JPEGImages" / f"2007_{seed}.jpg", noise(seed))
        text(root / "Annotations" / f"2007_{seed}.xml", VOC)
        text(root / "ImageSets" / "Main" / f"{split}.txt", f"2007_{seed}\n")
        text(root / "ImageSets" / "Main" / f"cat_{split}.txt", f"2007_{seed}  1\n")


def voc_export(root: Path) -> None:
    for seed, split in enumerate(SPLITS):
        picture(root / split / f"{seed}.jpg", noise(seed))
        text(root / split / f"{seed}.xml", VOC)


def coco_export(root: Path) -> None:
    for seed, split in enumerate(SPLITS):
        picture(root / split / f"{seed}.jpg", noise(seed))
        text(root / split / "_annotations.coco.json", coco(f"{seed}.jpg"))


def coco_root(root: Path) -> None:
    for seed, split in enumerate(("train2017", "val2017", "test2017")):
        picture(root / split / f"{seed}.jpg", noise(seed))
        text(root / "annotations" / f"instances_{split}.json", coco(f"{seed}.jpg"))
        text(root / "annotations" / f"captions_{split}.json", "{}")


LAYOUTS: list[Layout] = [
    yolo_by_set, yolo_export, yolo_lists, images_and_labels, voc_root, voc_export, coco_export, coco_root
]  # fmt: skip


def write_recipe(folder: Path, root: Path, more: str = "") -> Path:
    text(folder / "r.toml", f"task = 'detect'\n[data]\nroot = '{root}'\n{more}")
    return folder / "r.toml"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_its_three_sets(tmp_path: Path, tombola: Tombola, layout: Layout) -> None:
    root = tmp_path / "set"
    layout(root)
    sets = find_sets(root)
    assert tuple(sets) == SPLITS
    result = tombola("data", "check", str(root))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Nothing is wrong."), result.stdout
    assert result.stdout.count("pictures  ") == 3
    # As the root of a recipe, whose sets may not leave their folders.
    recipe = write_recipe(tmp_path, root)
    for seed, split in enumerate(SPLITS):
        (record,) = load_split(load_recipe(recipe), split).records
        assert str(seed) in record.file_name
        assert record.boxes_xyxy.tolist() == [[10, 20, 40, 60]]
    assert tombola("data", "check", str(recipe)).exit_code == 0


def test_a_data_yaml_is_a_root_too_and_its_mistakes_are_named(tmp_path: Path, tombola: Tombola) -> None:
    yolo_by_set(tmp_path / "set")
    path = tmp_path / "set" / "data.yaml"
    assert tombola("data", "check", str(path)).exit_code == 0
    assert len(load_split(load_recipe(write_recipe(tmp_path, path)), "valid")) == 1
    for yaml, words in (
        ("train: images/tarin\nnames: [cat]", "names 'images/tarin', which is not in"),
        ("train: {a: b}\nnames: [cat]", "a list is expected"),
        ("train: [images/train, images/valid]\nnames: [cat", "not valid YAML"),
    ):
        path.write_text(yaml)
        with pytest.raises(DataError, match=words):
            find_sets(path)
    path.write_text("train: [images/train, images/valid]\nval:\nnames: [cat]")
    assert [len(sources) for sources in find_sets(path).values()] == [2]
    # By another name it is found only where it is given.
    other = path.rename(path.with_name("animals.yaml"))
    assert tombola("data", "check", str(other)).exit_code == 0
    assert load_split(load_recipe(write_recipe(tmp_path, other)), "train").classes == ("cat",)


def test_undivided_folders_are_one_set(tmp_path: Path, tombola: Tombola) -> None:
    yolo, voc = tmp_path / "yolo", tmp_path / "voc"
    picture(yolo / "images" / "a.png", noise(1))
    text(yolo / "labels" / "a.txt", LINE)
    text(yolo / "classes.txt", "cat\n")
    picture(voc / "JPEGImages" / "a.jpg", noise(1))
    text(voc / "Annotations" / "a.xml", VOC)
    for root in (yolo, voc):
        assert list(find_sets(root)) == ["all"]
        assert tombola("data", "check", str(root)).exit_code == 0
        with pytest.raises(RecipeError, match="holds the sets all but no train"):
            load_recipe(write_recipe(tmp_path, root))


def test_what_is_no_layout_is_none(tmp_path: Path, tombola: Tombola) -> None:
    for name in ("cat/a.png", "dog/b.png"):
        picture(tmp_path / "set" / name, noise(len(name)))
    assert find_sets(tmp_path / "set") == find_sets(tmp_path / "gone") == {}
    assert tombola("data", "check", str(tmp_path / "set")).exit_code == 0
    with pytest.raises(RecipeError, match=r"data: train is missing, and .*add"):
        load_recipe(write_recipe(tmp_path, tmp_path / "set"))
    # Labels without their pictures are no classes.
    text(tmp_path / "labels" / "train" / "a.txt", LINE)
    assert tombola("data", "check", str(tmp_path / "labels")).exit_code == 1


def test_a_list_chooses_pictures(tmp_path: Path) -> None:
    root = tmp_path / "set"
    voc_root(root)
    source = "{ annotations = 'Annotations', pictures = 'JPEGImages', list = 'ImageSets/Main/%s.txt' }"
    recipe = write_recipe(tmp_path, root, f"format = 'voc'\ntrain = [{source % 'train'}, {source % 'test'}]")
    assert [one.file_name for one in load_split(load_recipe(recipe), "train").records] == [
        "2007_0.jpg",
        "2007_2.jpg",
    ]


@pytest.mark.parametrize(
    ("content", "chosen"),
    [
        ("2007_0\n\n 2007_2 \r\n", {"2007_0.jpg", "2007_2.jpg"}),
        ("2007_0  1\n2007_1 -1\n2007_2  0\n", {"2007_0.jpg", "2007_2.jpg"}),
        ("/home/old/JPEGImages/2007_1.jpg", {"2007_1.jpg"}),
        ("C:\\old\\2007_1.jpg", {"2007_1.jpg"}),
        ("\ufeff2007_1.jpg", {"2007_1.jpg"}),
    ],
)
def test_lists_of_every_form(tmp_path: Path, content: str, chosen: set[str]) -> None:
    voc_root(tmp_path)
    text(tmp_path / "list.txt", content)
    one = formats.load(tmp_path / "Annotations", tmp_path / "JPEGImages", listed=tmp_path / "list.txt")
    assert {record.file_name for record in one.records} == chosen


def test_lists_that_name_what_is_not_there_are_refused(tmp_path: Path) -> None:
    voc_root(tmp_path)
    path = tmp_path / "list.txt"

    def load() -> None:
        formats.load(tmp_path / "Annotations", tmp_path / "JPEGImages", listed=path)

    for content, words in (
        ("2007_0\n2007_9", r"missing picture: list\.txt, line 2: 2007_9 is not among the pictures"),
        ("\n", "is empty"),
        ("\0", "NUL"),
    ):
        text(path, content)
        with pytest.raises(DataError, match=words):
            load()
    text(path, "2007_0\n2007_1")
    (tmp_path / "Annotations" / "2007_1.xml").unlink()
    with pytest.raises(DataError, match=r"2007_1\.jpg: it is listed, but not annotated"):
        load()
    path.unlink()
    with pytest.raises(DataError, match="cannot be read: No such file"):
        load()


def test_pictures_that_two_sets_share_are_found(tmp_path: Path, tombola: Tombola) -> None:
    root = tmp_path / "set"
    yolo_by_set(root)
    brighter = np.clip(noise(0).astype(int) + 3, 0, 255).astype(np.uint8)
    picture(root / "images" / "valid" / "same.png", noise(0))
    smaller = np.asarray(cv2.resize(noise(0), (90, 72), interpolation=cv2.INTER_AREA), np.uint8)
    picture(root / "images" / "test" / "smaller.jpg", smaller)
    picture(root / "images" / "test" / "brighter.png", brighter)
    for recipe in (str(root), str(write_recipe(tmp_path, root))):
        result = tombola("data", "check", recipe, "--json")
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert [(one["kind"], one["where"], one["what"]) for one in found] == [
            ("one picture in two sets", "valid: same.png", "the same picture as 0.png of train"),
            ("near twins in two sets", "test: brighter.png", "nearly the same picture as 0.png of train"),
            ("near twins in two sets", "test: smaller.jpg", "nearly the same picture as 0.png of train"),
        ]
        assert result.exit_code == 0


def test_folds_of_one_source_share_nothing(tmp_path: Path, tombola: Tombola) -> None:
    for seed in range(6):
        picture(tmp_path / "photos" / f"{seed}.png", noise(seed))
        text(tmp_path / "labels" / f"{seed}.txt", LINE)
    text(tmp_path / "classes.txt", "cat\n")
    source = "{ annotations = 'labels', pictures = 'photos', folds = ['%s'] }"
    more = f"format = 'yolo'\ntrain = [{source % '!0/3'}]\nvalid = [{source % '0/3'}]"
    recipe = write_recipe(tmp_path, tmp_path, more)
    result = tombola("data", "check", str(recipe))
    assert result.stdout.endswith("Nothing is wrong.\n")
    assert "4 (0 without boxes)" in result.stdout
    assert "2 (0 without boxes)" in result.stdout
    text(recipe, recipe.read_text().replace("'!0/3'", "'!1/3'"))
    assert (
        "one picture in two sets: 2 (does not stop training)" in tombola("data", "check", str(recipe)).stdout
    )


def test_the_sets_of_a_classifier_are_held_together_too(tmp_path: Path, tombola: Tombola) -> None:
    for seed, name in enumerate(("train/cat/a.png", "train/dog/b.png", "test/cat/c.png", "test/dog/d.png")):
        picture(tmp_path / name, noise(seed))
    picture(tmp_path / "test" / "dog" / "e.png", noise(0))
    text(
        tmp_path / "r.toml",
        "task = 'classify'\n[data]\ntrain = [{ pictures = 'train' }]\ntest = [{ pictures = 'test' }]\n"
        "[network]\nkind = 'mlp'\n",
    )
    result = tombola("data", "check", str(tmp_path / "r.toml"))
    assert result.exit_code == 0
    assert "  test: dog/e.png: the same picture as cat/a.png of train\n" in result.stdout
