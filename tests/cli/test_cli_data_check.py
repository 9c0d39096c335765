"""`tombola data check`: a clean set, every kind of output, and the exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Tombola = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("place")


def coco(*boxes: list[int], file_name: str = "a.jpg", category: int = 1) -> None:
    content: dict[str, list[Any]] = {
        "images": [{"id": 1, "file_name": file_name, "width": 200, "height": 100}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": category, "bbox": box} for n, box in enumerate(boxes)
        ],
    }
    Path("annotations.json").write_text(json.dumps(content))


@pytest.fixture(autouse=True)
def photos(place: Path, picture: Callable[..., Path]) -> None:  # noqa: ARG001  # the folder comes first
    picture("photos/a.jpg")


def check(tombola: Tombola, *options: str) -> Result:
    return tombola("data", "check", "annotations.json", "photos", *options)


def test_a_clean_set(tombola: Tombola) -> None:
    coco([10, 10, 50, 50])
    result = check(tombola)
    assert result.exit_code == 0
    assert result.stdout.endswith("\nNothing is wrong.\n")
    assert result.stdout.startswith("pictures")


def test_faults_are_grouped_named_and_counted(tombola: Tombola) -> None:
    coco(*[[10, n, 0, 50] for n in range(7)], [150, 10, 100, 50])
    result = check(tombola)
    assert result.exit_code == 1
    text = result.stdout
    assert "zero area: 7\n" in text
    assert "  and 2 more: --all lists them\n" in text
    assert "box outside: 1\n" in text
    assert text.endswith("8 faults; training would refuse 8.\n")
    assert check(tombola, "--all").stdout.count("has no area") == 7


def test_faults_that_do_not_stop_training_leave_the_exit_code(tombola: Tombola) -> None:
    coco([10, 10, 50, 50], [10, 10, 50, 50])
    result = check(tombola)
    assert result.exit_code == 0
    assert "duplicate box: 1 (does not stop training)\n" in result.stdout
    assert result.stdout.endswith("1 fault; training would refuse 0.\n")


def test_json_lines(tombola: Tombola) -> None:
    coco([10, 10, 0, 50], file_name="a.jpg")
    result = check(tombola, "--json")
    assert result.exit_code == 1
    (fault,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert (fault["kind"], fault["stops_training"]) == ("zero area", True)


def test_the_format_can_be_named(tombola: Tombola) -> None:
    coco([10, 10, 50, 50])
    assert check(tombola, "--format", "coco").exit_code == 0
    wrong = check(tombola, "--format", "voc")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("error: ")


def test_missing_annotations(tombola: Tombola) -> None:
    result = check(tombola)
    assert (result.exit_code, result.stderr) == (
        1,
        "error: annotations.json does not exist; check the path\n",
    )


def idx(labels: str) -> tuple[str, str]:
    """Three grey pictures of one pixel and their labels, in hexadecimal, as idx files."""
    Path("pictures").write_bytes(bytes.fromhex("00000803 00000003 00000001 00000001 0a 14 1e"))
    Path("labels").write_bytes(bytes.fromhex("00000801 00000003" + labels))
    return "labels", "pictures"


def test_labels_and_pictures_of_idx(tombola: Tombola) -> None:
    result = tombola("data", "check", *idx("000100"))
    assert result.exit_code == 0
    assert "mean, grey 0 … 255" in result.stdout
    assert result.stdout.endswith("\nNothing is wrong.\n")
    result = tombola("data", "check", *idx("000102"), "--classes", "off, on")
    assert result.exit_code == 1
    assert "unknown class: 1\n  pictures[2]: label 2, but there are 2 classes, 0 … 1\n" in result.stdout


def test_a_folder_per_class(tombola: Tombola, picture: Callable[..., Path]) -> None:
    picture("animals/cat/a.jpg")
    picture("animals/dog/b.jpg")  # the same content
    result = tombola("data", "check", "animals")
    assert result.exit_code == 0
    assert "one picture in two classes: 1 (does not stop training)\n" in result.stdout
    assert "but dog here and cat there" in result.stdout
    result = tombola("data", "check", "animals", "--classes", "cat", "--json")
    assert result.exit_code == 1
    faults = [json.loads(line) for line in result.stdout.splitlines()]
    assert faults[0]["where"] == "dog/b.jpg"


def test_boxes_need_pictures(tombola: Tombola) -> None:
    coco([10, 10, 50, 50])
    Path("labels.txt").write_text("0 0.5 0.5 1 1")
    for given in (("annotations.json", "--format", "coco"), ("annotations.json",)):
        result = tombola("data", "check", *given)
        assert result.exit_code == 2
        assert "PICTURES is missing" in result.stderr
    result = tombola("data", "check", "labels.txt")
    assert result.exit_code == 1
    assert "is neither idx (MNIST) nor a CIFAR batch" in result.stderr
