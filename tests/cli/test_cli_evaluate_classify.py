"""`tombola evaluate` of classifiers: a file that names the colour of a picture, and a run folder."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import Result

from tombola.train.networks.classify.classifiers import build_classifier
from tombola.train.networks.classify.mlp import MlpSettings
from tombola.train.run.folder import RunFolder

Tombola = Callable[..., Result]

# Its three probabilities are the shares of red, green and blue in the top left pixel.
RED, GREEN, BLUE = (200, 40, 10), (40, 200, 10), (10, 40, 200)


@pytest.fixture(autouse=True)
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_classifier: Callable[..., bytes]) -> Path:
    """The current folder, with colours.onnx and photos/CLASS/; one red picture lies in green."""
    monkeypatch.chdir(tmp_path)
    Path("colours.onnx").write_bytes(make_classifier())
    pictures = {"red": [RED, RED, RED], "green": [GREEN, RED], "blue": [BLUE]}
    for name, contents in pictures.items():
        for number, colour_rgb in enumerate(contents):
            path = Path("photos", name, f"{number}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.full((6 + number, 8, 3), colour_rgb, np.uint8)
            assert cv2.imwrite(str(path), image[..., ::-1])
    return tmp_path


def test_the_table_of_one_mistake_in_six(tombola: Tombola) -> None:
    result = tombola("evaluate", "colours.onnx", "--pictures", "photos", "--device", "cpu")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "class  pictures  precision  recall     F1\n"
        "red           3       75.0   100.0   85.7\n"
        "green         2      100.0    50.0   66.7\n"
        "blue          1      100.0   100.0  100.0\n"
        "\n"
        "6 pictures; a picture's class is the most probable one\n"
        "accuracy  83.3\n"
        "mean F1   84.1\n"
        "most often mistaken: green taken for red (1)\n"
    )


def test_json_holds_the_confusions(tombola: Tombola) -> None:
    result = tombola("evaluate", "colours.onnx", "-p", "photos", "--format", "folder", "--json")
    told = json.loads(result.stdout)
    assert (told["pictures"], told["accuracy"], told["top5"]) == (6, 0.833333, 1.0)
    assert told["confusions"] == [[3, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert told["classes"][1] == {
        "name": "green", "pictures": 2, "precision": 1.0, "recall": 0.5, "f1": 0.666667
    }  # fmt: skip


def test_a_class_without_pictures_is_a_dash(tombola: Tombola) -> None:
    write_idx("images.gz", np.full((2, 5, 5), 90, np.uint8))
    write_idx("labels.gz", np.zeros(2, np.uint8))
    result = tombola("evaluate", "colours.onnx", "-p", "images.gz", "--labels", "labels.gz")
    assert result.exit_code == 0, result.output
    # Grey is a third of each, and of equal ones the first is taken.
    assert "red           2      100.0   100.0  100.0\n" in result.stdout
    assert "blue          0          –       –      –\n" in result.stdout
    assert "mistaken" not in result.stdout


def write_idx(path: str, array: NDArray[np.uint8]) -> None:
    sides = b"".join(side.to_bytes(4, "big") for side in array.shape)
    Path(path).write_bytes(gzip.compress(bytes([0, 0, 8, array.ndim]) + sides + array.tobytes()))


def test_folds_choose_pictures(tombola: Tombola) -> None:
    for fold, pictures in (("0/3", 2), ("!0/3", 4)):
        told = json.loads(
            tombola("evaluate", "colours.onnx", "-p", "photos", "--fold", fold, "--json").stdout
        )
        assert told["pictures"] == pictures


def test_the_confusions_are_drawn(tombola: Tombola) -> None:
    result = tombola("evaluate", "colours.onnx", "-p", "photos", "--confusions", "out/confusions.png")
    assert result.exit_code == 0, result.output
    assert cv2.imread("out/confusions.png") is not None


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 1, "error: colours.onnx does not say what to score it on: give --pictures, and --labels"),
        (("--labels", "labels.gz"), 2, "give --pictures too"),
        (("-p", "photos", "--score", "0"), 2, "--score has no meaning for a classifier; leave it out"),
        (("-p", "photos", "--pr-curve", "c.png"), 2, "--pr-curve has no meaning for a classifier"),
        (("-p", "photos", "--predictions", "p.json"), 2, "--predictions has no meaning for a classifier"),
        (("-p", "photos", "--judge", "j.onnx"), 2, "--judge has no meaning for a classifier"),
        (("-p", "photos", "--likelihood", "9"), 2, "--likelihood has no meaning for a classifier"),
        (("-p", "photos", "--proposals", "p.npz"), 2, "--proposals has no meaning for a classifier"),
        (("-p", "photos", "--split", "test"), 2, "is of the pictures of a run"),
        (("-p", "photos", "--fold", "7/3"), 1, "error: "),
        (("--format", "folder"), 2, "--format is of --pictures"),
        (("-p", "photos/red/0.png"), 1, "error: "),
        (("-p", "no-photos", "--confusions", "photos"), 1, "error: photos is a folder"),
        (("-p", "no-photos", "--confusions", "c.jpg"), 1, "error: c.jpg does not end in .png"),
    ],
)
def test_what_is_missing_or_wrong_is_said(
    tombola: Tombola, options: tuple[str, ...], code: int, message: str
) -> None:
    result = tombola("evaluate", "colours.onnx", *options)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_classes_of_other_names_are_refused(tombola: Tombola, make_classifier: Callable[..., bytes]) -> None:
    Path("other.onnx").write_bytes(make_classifier(labels=("cyan", "magenta", "yellow")))
    result = tombola("evaluate", "other.onnx", "--pictures", "photos")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")


def test_a_classifier_is_not_compared_with_a_detector(
    tombola: Tombola, model_bytes: Callable[..., bytes]
) -> None:
    Path("detector.onnx").write_bytes(model_bytes())
    result = tombola("evaluate", "colours.onnx", "-p", "photos", "--against", "detector.onnx")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "colours.onnx is a classifier, detector.onnx a detector" in result.stderr


def test_the_same_file_twice_is_no_better(tombola: Tombola) -> None:
    options = ("-p", "photos", "--interval", "--against", "colours.onnx", "--device", "cpu")
    told = json.loads(tombola("evaluate", "colours.onnx", *options, "--json").stdout)
    assert told["against"] == {
        "model": "colours.onnx", "score": 0.833333, "difference": 0.0, "interval": [0.0, 0.0]
    }  # fmt: skip
    low, high = told["interval"]
    assert 0 < low < 0.833333 < high == 1
    text = tombola("evaluate", "colours.onnx", *options).stdout
    assert f"accuracy  83.3  (95 %: {100 * low:.1f} … 100.0)\n" in text
    assert text.endswith(
        "against colours.onnx: 83.3 and 83.3, difference +0.0 (95 %: +0.0 … +0.0); 0 lies in it, so either "
        "may be better\n"
    )


def test_a_file_that_names_no_red_picture_is_worse(
    tombola: Tombola, make_classifier: Callable[..., bytes]
) -> None:
    """Its labels are turned round, so that it is right in one of six, the picture that the other misses."""
    Path("turned.onnx").write_bytes(make_classifier(labels=("green", "blue", "red")))
    told = json.loads(
        tombola("evaluate", "colours.onnx", "-p", "photos", "--against", "turned.onnx", "--json").stdout
    )
    assert told["against"]["difference"] == pytest.approx(4 / 6, abs=1e-6)
    assert told["against"]["interval"][0] <= 4 / 6 <= told["against"]["interval"][1] == 1
    assert "interval" not in told


@pytest.fixture
def run(colours: Path) -> Path:
    """A run folder whose network names the colour: one weight for each channel of its 8 x 8 pixels."""
    folder = RunFolder(colours / "run")
    folder.path.mkdir()
    folder.write_recipe("""
task = "classify"
name = "colours"
data.root = ".."
data.classes = ["red", "green", "blue"]
data.train = [{ pictures = "photos" }]
data.valid = [{ pictures = "photos", folds = ["0/2"] }]
data.test = [{ pictures = "photos" }]
picture = { size = [8, 8], fit = "stretch" }
network = { kind = "mlp", widths = [] }
""")
    folder.write_lineage({"parent": None})
    network = build_classifier(MlpSettings(widths=()), channels=3, size_hw=(8, 8), n_classes=3)
    with torch.no_grad():
        network.head.weight.copy_(torch.eye(3).repeat_interleave(64, dim=1))
        network.head.bias.zero_()
    folder.write_weights("best", network.state_dict(), {})
    return folder.path


def test_a_run_is_scored_on_its_test_split_and_on_others(tombola: Tombola, run: Path) -> None:
    own = tombola("evaluate", run, "--device", "cpu", "--json")
    assert own.exit_code == 0, own.output
    assert json.loads(own.stdout)["confusions"] == [[3, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert json.loads(tombola("evaluate", run, "--split", "valid", "--json").stdout)["pictures"] == 3
    assert json.loads(tombola("evaluate", run, "--fold", "0/3", "--json").stdout)["pictures"] == 2
    named = tombola("evaluate", run, "-p", "photos", "--fold", "!0/3", "--json")
    assert json.loads(named.stdout)["pictures"] == 4
    assert tombola("evaluate", run, "--split", "exam").exit_code == 2
    file = tombola("evaluate", run, "--against", "colours.onnx", "--split", "valid", "--json")
    assert json.loads(file.stdout)["against"]["difference"] == 0
    both = tombola("evaluate", run, "--split", "valid", "-p", "photos")
    assert (both.exit_code, both.stdout) == (2, "")
    assert "--split is of the pictures of a run folder" in both.stderr


def test_a_run_is_scored_on_the_threads_asked_for(tombola: Tombola, run: Path) -> None:
    before = torch.get_num_threads()
    try:
        assert tombola("evaluate", run, "--threads", str(before + 1), "--json").exit_code == 0
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_the_file_of_a_run_scores_as_the_run(tombola: Tombola, run: Path) -> None:
    exported = tombola("export", run)
    assert exported.exit_code == 0, exported.output
    assert "probabilities within " in exported.stdout
    assert exported.stdout.endswith("Next: tombola classify photo.jpg --model classifier.onnx --save out\n")
    assert tombola("verify", "classifier.onnx", "--device", "cpu").exit_code == 0
    source = ("--pictures", "photos", "--device", "cpu", "--json")
    file, trained = (tombola("evaluate", what, *source).stdout for what in ("classifier.onnx", run))
    assert json.loads(file) == json.loads(trained)
