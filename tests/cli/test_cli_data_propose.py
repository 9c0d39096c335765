"""`tombola data propose`: files of proposals, and their recall."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tombola.train.regions.proposals_file import read_proposals

Tombola = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("place")

RECIPE = """
task = "detect"
[data]
train = [{ annotations = "a.json", pictures = "photos" }]
test = [{ annotations = "a.json", pictures = "photos" }]
"""


@pytest.fixture(autouse=True)
def photos(place: Path, picture: Callable[..., Path]) -> None:  # noqa: ARG001  # the folder comes first
    picture("photos/a.png", 60, 40)
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 60, 40]}],
    }
    Path("a.json").write_text(json.dumps(content))
    Path("r.toml").write_text(RECIPE)


def test_a_recipe_gets_a_file_a_split_and_recall(tombola: Tombola) -> None:
    result = tombola("data", "propose", "r.toml", "--workers", 1)
    assert result.exit_code == 0, result.stderr
    for split in ("train", "test"):
        assert read_proposals(Path("proposals") / f"{split}.npz").keys() == {"a.png"}
    rows = [line.split() for line in result.stdout.splitlines() if "selective search" in line]
    assert [row[0] for row in rows] == ["train", "test"]
    assert rows[0][-2:] == ["100.0", "100.0"]  # the whole picture is always proposed
    assert result.stdout.count("sliding window") == 2


def test_one_split(tombola: Tombola) -> None:
    assert tombola("data", "propose", "r.toml", "--split", "test", "--workers", 1).exit_code == 0
    assert [path.name for path in Path("proposals").iterdir()] == ["test.npz"]


def test_pictures_without_a_recipe(tombola: Tombola) -> None:
    result = tombola("data", "propose", "photos", "--out", "p.npz", "--workers", 1)
    assert result.exit_code == 0, result.stderr
    assert "in 1 pictures" in result.stdout
    assert read_proposals(Path("p.npz")).keys() == {"a.png"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photos"], "need --out FILE"),
        (["r.toml", "--out", "p.npz"], "--out is for pictures without a recipe"),
        (["r.toml", "--split", "best"], "'best' is not one of train, valid, test"),
        (["r.toml", "--split", "valid"], "the recipe has no data.valid"),
    ],
)
def test_what_cannot_be(tombola: Tombola, arguments: list[str], words: str) -> None:
    result = tombola("data", "propose", *arguments)
    assert result.exit_code in (1, 2)
    assert words in result.stderr
