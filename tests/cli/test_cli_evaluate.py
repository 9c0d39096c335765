"""`tombola evaluate`: a model file whose scores can be worked out, and a run folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from typer.testing import Result

Tombola = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("place")

# What the model finds in every 200 x 100 picture, as COCO writes boxes: x, y, width, height.
CAT, DOG = [0, 0, 100, 50], [100, 50, 100, 50]
ELSEWHERE = [120, 0, 60, 40]
SOURCE = ("--annotations", "annotations.json", "--pictures", "photos", "--device", "cpu")


def label(*pictures: dict[str, list[int]]) -> None:
    """Write annotations: for each picture, class name -> box."""
    names = ["cat", "dog", "person"]
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 200, "height": 100} for n in range(len(pictures))]
    boxes: list[dict[str, Any]] = [
        {"image_id": n, "category_id": names.index(name), "bbox": box}
        for n, picture in enumerate(pictures)
        for name, box in picture.items()
    ]
    for number, box in enumerate(boxes):
        box |= {"id": number + 1, "area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0}
    categories = [{"id": n, "name": name} for n, name in enumerate(names)]
    Path("annotations.json").write_text(
        json.dumps({"images": images, "annotations": boxes, "categories": categories})
    )


@pytest.fixture(autouse=True)
def photos(place: Path, picture: Callable[..., Path]) -> None:  # noqa: ARG001  # the folder comes first
    for n in range(3):
        picture(f"photos/{n}.jpg")


def test_the_table_of_a_model_that_finds_two_classes_of_three(tombola: Tombola) -> None:
    label({"cat": CAT, "dog": DOG}, {"cat": CAT, "dog": DOG, "person": ELSEWHERE})
    result = tombola("evaluate", "model.onnx", *SOURCE, "--score", "0.5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "class   boxes     AP  precision  recall     F1\n"
        "cat         2  100.0      100.0   100.0  100.0\n"
        "dog         2  100.0      100.0   100.0  100.0\n"
        "person      1    0.0          –     0.0    0.0\n"
        "all         5   66.7      100.0    80.0   88.9\n"
        "\n"
        "2 pictures; precision, recall and F1 at score 0.50 and IoU 0.5\n"
        "VOC07 mAP@0.5       66.7\n"
        "COCO mAP@0.50:0.95  66.7\n"
        "COCO's others: AP50 66.7, AP75 66.7, AP_small –, AP_medium 66.7, AP_large –, AR1 66.7, AR10 66.7, "
        "AR100 66.7, AR_small –, AR_medium 66.7, AR_large –\n"
    )


def test_a_higher_score_cuts_the_dog(tombola: Tombola) -> None:
    label({"cat": CAT, "dog": DOG})
    told = json.loads(tombola("evaluate", "model.onnx", *SOURCE, "--score", "0.7", "--json").stdout)
    assert told["voc07_map"] == 1.0
    by_name = {one["name"]: one for one in told["classes"]}
    assert (by_name["cat"]["recall"], by_name["dog"]["recall"]) == (1.0, 0.0)
    assert by_name["dog"]["precision"] is None
    assert by_name["person"]["average_precision"] is None


def test_the_score_of_the_best_f1_is_found(tombola: Tombola) -> None:
    label({"cat": CAT, "dog": ELSEWHERE}, {"cat": CAT})
    told = json.loads(tombola("evaluate", "model.onnx", *SOURCE, "--json").stdout)
    assert told["score"] == pytest.approx(0.9)


def test_the_score_of_the_best_f1_is_told_as_a_command(tombola: Tombola) -> None:
    label({"cat": CAT, "dog": ELSEWHERE}, {"cat": CAT})
    assert tombola("evaluate", "model.onnx", *SOURCE).stdout.endswith(
        "\nBest F1 at score 0.90: `tombola export RUN --score 0.90` makes it the file's default\n"
    )


def test_folds_choose_pictures(tombola: Tombola) -> None:
    label({"cat": CAT}, {"cat": ELSEWHERE}, {"cat": CAT})
    for fold, pictures, mean in (("1/3", 1, 0.0), ("!1/3", 2, 1.0)):
        told = json.loads(tombola("evaluate", "model.onnx", *SOURCE, "--fold", fold, "--json").stdout)
        assert (told["pictures"], told["voc07_map"]) == (pictures, mean)


def test_the_curve_is_drawn(tombola: Tombola) -> None:
    label({"cat": CAT})
    assert tombola("evaluate", "model.onnx", *SOURCE, "--pr-curve", "curve.png").exit_code == 0
    assert cv2.imread("curve.png") is not None


def test_confusions_have_a_row_and_a_column_for_nothing(tombola: Tombola) -> None:
    """The dog is labelled as a person, and the second picture's cat is not labelled."""
    label({"cat": CAT, "person": DOG}, {"dog": DOG, "person": ELSEWHERE})
    options = ("--score", "0.5", "--confusions", "matrix.png", "--json")
    told = json.loads(tombola("evaluate", "model.onnx", *SOURCE, *options).stdout)
    assert told["confusions"] == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0]]
    assert cv2.imread("matrix.png") is not None


def test_predictions_are_written_as_coco_reads_results(tombola: Tombola) -> None:
    label({"cat": CAT}, {"dog": DOG})
    result = tombola("evaluate", "model.onnx", *SOURCE, "--predictions", "found.json", "--json")
    coco = COCO(json.loads(Path("annotations.json").read_text()))
    evaluated = COCOeval_faster(coco, coco.loadRes("found.json"), "bbox")
    evaluated.run()
    assert evaluated.stats_as_dict["AP_all"] == pytest.approx(json.loads(result.stdout)["coco"]["AP"])
    first = json.loads(Path("found.json").read_text())[0]
    assert (first["image_id"], first["category_id"], first["bbox"]) == (0, 0, CAT)
    assert (first["score"], first["file_name"]) == (pytest.approx(0.9), "0.jpg")


def test_an_interval_holds_the_score_and_one_model_is_held_against_another(
    tombola: Tombola, model_bytes: Callable[..., bytes]
) -> None:
    """The other calls cats dogs and dogs cats, so that it finds nothing of its class."""
    label({"cat": CAT}, {"cat": CAT, "dog": DOG}, {"cat": ELSEWHERE})
    Path("other.onnx").write_bytes(model_bytes(labels=("dog", "cat", "person")))
    options = (*SOURCE, "--interval", "--against", "other.onnx")
    told = json.loads(tombola("evaluate", "model.onnx", *options, "--json").stdout)
    assert told["interval"][0] < told["voc07_map"] <= told["interval"][1]
    assert told["against"]["score"] == 0
    assert told["against"]["difference"] == told["voc07_map"]
    assert told["against"]["interval"] == told["interval"]
    mean, (low, high) = 100 * told["voc07_map"], [100 * side for side in told["interval"]]
    text = tombola("evaluate", "model.onnx", *options).stdout
    assert f"VOC07 mAP@0.5       {mean:.1f}  (95 %: {low:.1f} … {high:.1f})\n" in text
    assert f"against other.onnx: {mean:.1f} and 0.0, difference +{mean:.1f} (95 %: +{low:.1f} … " in text


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 1, "error: model.onnx does not say what to score it on: give --annotations and --pictures"),
        (("--annotations", "annotations.json"), 2, "belong together"),
        ((*SOURCE, "--split", "test"), 2, "is of the pictures of a run folder"),
        ((*SOURCE, "--weights", "last"), 2, "are for run folders"),
        ((*SOURCE, "--judge", "j.onnx"), 2, "--judge has no meaning for a detector; leave it out"),
        ((*SOURCE, "--likelihood", "9"), 2, "--likelihood has no meaning for a detector"),
        ((*SOURCE, "--fold", "5/3"), 1, "error: "),
        ((*SOURCE, "--confusions", "c.jpg"), 1, "error: c.jpg does not end in .png"),
        ((*SOURCE, "--predictions", "p.csv"), 1, "error: p.csv does not end in .json"),
        ((*SOURCE, "--against", "nothing.onnx"), 1, "error: "),
        ((*SOURCE, "--pr-curve", "model.onnx/c.png"), 1, "error: model.onnx/c.png cannot be written"),
    ],
)
def test_what_is_missing_or_wrong_is_said(
    tombola: Tombola, options: tuple[str, ...], code: int, message: str
) -> None:
    label({"cat": CAT})
    result = tombola("evaluate", "model.onnx", *options)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_a_class_the_model_does_not_know(tombola: Tombola, model_bytes: Callable[..., bytes]) -> None:
    label({"cat": CAT})
    Path("other.onnx").write_bytes(model_bytes(labels=("car", "dog", "person")))
    result = tombola("evaluate", "other.onnx", *SOURCE)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "'cat'" in result.stderr


def test_a_folder_that_is_no_run(tombola: Tombola) -> None:
    result = tombola("evaluate", "photos")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: photos is not a run folder: it has no recipe.toml")
