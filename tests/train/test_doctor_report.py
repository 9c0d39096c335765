"""The page of a run: whole, self-contained and true; what curves say; how errors are chosen and drawn."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tombola.errors import TrainingError
from tombola.train.data.boxes.detection_set import DetectionRecord
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.data.pictures.pixels import ArrayPixels
from tombola.train.doctor.curve_findings import judge_curves
from tombola.train.doctor.report import write_report
from tombola.train.drawing.confusion_matrix import confusion_matrix_png
from tombola.train.metrics.matching import Prediction, Truth
from tombola.train.metrics.score import Score
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.run.folder import RunFolder
from tombola.train.run.watch_row import WatchRow
from tombola.train.tasks.classify.exhibits import classify_exhibits
from tombola.train.tasks.detect import mistake_exhibits as mistake_module
from tombola.train.tasks.detect.mistake_exhibits import mistake_exhibits
from tombola.train.tasks.detect.score_exhibits import score_exhibits
from tombola.train.tasks.task import Exhibit, ExhibitTable, Tell, silent

PNG = cv2.imencode(".png", np.zeros((2, 3, 3), np.uint8))[1].tobytes()


class Page(HTMLParser):
    """Reads a page and checks that every tag is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe")
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        self.text += data


ACCURACY = Score("accuracy", "share", higher_is_better=True)


@dataclass
class ToyTask:
    """What the report asks of a task."""

    name: str = "<i>toys</i> & co"
    score: Score = ACCURACY
    width: int = 2

    @property
    def settings(self) -> TrainingSettings:
        return TrainingSettings(epochs=9)

    def recipe_toml(self) -> str:
        return 'task = "toy" # <recipe>\n'

    def expected_losses(self) -> Mapping[str, float]:
        return {"cross_entropy": math.log(3)}

    def build_network(self, *, start: bool = True) -> nn.Module:
        assert not start  # weights of its own are read into it
        return nn.Linear(self.width, 3)

    def exhibits(self, network: nn.Module, tell: Tell = silent) -> Sequence[Exhibit | ExhibitTable]:
        tell(1, 1)
        assert not network.training
        assert torch.is_inference_mode_enabled()
        return [
            Exhibit("A & B", "<b>bold</b>", PNG),
            ExhibitTable("C", "all & none", ("class", "F1"), [("<cat>", "1.5")]),
        ]


def report(run: RunFolder, **changes: Any) -> Page:
    path = write_report(run, ToyTask(**changes))  # type: ignore[arg-type]
    assert path == run.path / "report.html"
    return Page(path)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A finished run with all that a report can tell."""
    run = RunFolder(tmp_path)
    run.write_metrics(
        [
            {"epoch": epoch, "step": 10 * epoch, "loss": 1 / epoch, "valid_accuracy": accuracy}
            for epoch, accuracy in ((1, 0.5), (2, 0.875), (3, 0.874))
        ]
    )
    run.write_weights("best", nn.Linear(2, 3).state_dict(), {})
    rows = [WatchRow(step, f"layer{n}", 0.1 * n, 1e-3) for step in (1, 20) for n in range(8)]
    rows += [WatchRow(20, "act", None, None, 0.75), WatchRow(20, "gate", None, None, None, 0.25)]
    run.write_watch(rows, ["step 20: <em>dead</em>"])
    (tmp_path / "range_test.png").write_bytes(PNG)
    findings = [{"check": "labels", "level": "fault", "sentence": "shuffled & dealt"}]
    (tmp_path / "preflight.json").write_text(json.dumps({"findings": findings, "range_test": {}}))
    return run


def test_a_page_of_everything(run: RunFolder) -> None:
    page = report(run)
    assert page.headings == [
        "Findings", "Curves", "Before the training", "Layers", "Answers and mistakes", "Recipe"
    ]  # fmt: skip
    told = (
        "<i>toys</i> & co", "best accuracy87.50 %", "reached after epoch2", "epochs3 of 9", "steps30",
        "parameters9", "faultlabels: shuffled & dealt", "warningstep 20: <em>dead</em>", "<b>bold</b>",
        "all & none", "<cat>1.5",
        "Every layer at step 20", "layer70.70.001", "act75%", "gate25%", 'task = "toy" # <recipe>',
    )  # fmt: skip
    assert [words for words in told if words not in page.text] == []
    # Loss, accuracy, range test, four of the watch, the exhibit.
    assert len(page.links) == 8
    assert all(link.startswith("data:image/png;base64,iVBORw0KGgo") for link in page.links)


def test_a_page_before_the_training(tmp_path: Path) -> None:
    page = report(RunFolder(tmp_path))
    assert page.headings == ["Recipe"]
    assert "not trained yet" in page.text


def test_a_page_of_one_epoch_without_validation(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_metrics([{"epoch": 1, "step": 10, "loss": 0.5, "loss_a": 0.2, "loss_b": 0.3}])
    page = report(run)
    assert "too few epochs to judge" in page.text
    assert len(page.links) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"findings": [{"level": "ok"}]}', "{}"])
def test_a_damaged_preflight(tmp_path: Path, text: str) -> None:
    (tmp_path / "preflight.json").write_text(text)
    with pytest.raises(TrainingError, match=r"preflight\.json is damaged .*; run the preflight again"):
        report(RunFolder(tmp_path))


def test_a_damaged_watch(tmp_path: Path) -> None:
    (tmp_path / "watch.csv").write_text("step,layer\none,two\n")
    with pytest.raises(TrainingError, match=r"watch\.csv is damaged .*; remove it"):
        report(RunFolder(tmp_path))


def test_weights_of_another_network(run: RunFolder) -> None:
    with pytest.raises(TrainingError, match=r"best\.safetensors does not fit .*recipe\.toml: size mismatch"):
        report(run, width=5)


# Curves.


def rows(losses: Sequence[float], **columns: Sequence[float]) -> list[dict[str, float]]:
    return [
        {"epoch": n + 1, "step": n, "loss": loss, **{name: column[n] for name, column in columns.items()}}
        for n, loss in enumerate(losses)
    ]


FALLING = [2.0, 1.5, 1.2, 1.0]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ([], None),
        (rows([2.3] * 8), None),
        (rows([2.3, 2.3, 2.29, 2.28, 1.5, 1, 0.7, 0.5]), "stayed flat for the first 3 epochs (2.3 to 2.29)"),
        (rows([2.3, 1.9, 1.5, 1.3, 1.1, 1, 0.7, 0.5]), None),
        (rows(FALLING, valid_map=[0.1, 0.2, 0.3, 0.4]), "map was still rising at the end, from 0.3 to 0.4"),
        (rows(FALLING, valid_map=[0.1, 0.4, 0.396, 0.4]), None),
        (rows(FALLING, valid_map=[0.1, 0.4, 0.3, 0.3]), "best after epoch 2 (0.4) and fell to 0.3 while"),
        (rows([2, 1, 2, 3], valid_map=[0.1, 0.4, 0.3, 0.3]), "lower training.learning_rate"),
        (
            rows(FALLING, loss_ce=FALLING, valid_ce=[1.0, 0.5, 0.7, 0.8], valid_map=[0.4] * 4),
            "ce on the validation pictures was least after epoch 2 (0.5) and rose to 0.8",
        ),
        (rows(FALLING, loss_ce=FALLING, valid_ce=[1.0, 0.5, 0.5, 0.55]), None),
    ],
)
def test_what_curves_say(metrics: list[dict[str, float]], words: str | None) -> None:
    score = Score("map", "share", higher_is_better=True)
    told = judge_curves(metrics, score, {})
    assert len(told) == (words is not None)
    assert words is None or words in told[0]


# Mistakes of a classifier.


@pytest.fixture
def classified() -> ClassificationSet:
    """Six grey pictures of three classes; one name would be a formula, one is in letters the font lacks."""
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 5), np.uint8)
    labels = np.array([0, 0, 0, 1, 2, 2])
    names = tuple(f"images[{n}]" for n in range(6))
    return ClassificationSet(
        ("$a_$b$", "猫", "c"), labels, names, ArrayPixels(images, "images"), np.arange(6)
    )


def probabilities(rows: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


def test_the_worst_mistake_comes_first(
    classified: ClassificationSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = probabilities(
        [[0.9, 0.1, 0], [0.4, 0.6, 0], [0, 1, 0], [0, 0.9, 0.1], [0.6, 0, 0.4], [0.1, 0.2, 0.7]]
    )
    shown: list[Any] = []

    def draw(images: Any, *columns: Any) -> bytes:
        shown.extend([[int(image[0, 0, 0]) for image in images], *columns])
        return PNG

    monkeypatch.setattr("tombola.train.tasks.classify.exhibits.worst_mistakes_png", draw)
    matrix, worst = classify_exhibits(classified, answers)
    assert "2 of 3 pictures of $a_$b$ are taken for 猫" in matrix.sentence
    assert "3 of 6 validation pictures are answered wrongly" in worst.sentence
    # Picture 4 is wrong by 0.6 - 0.4 = 0.2 as picture 1 is; equals keep their order.
    assert shown[:3] == [[2, 1, 4], ["$a_$b$", "$a_$b$", "c"], ["猫", "猫", "$a_$b$"]]
    assert shown[3] == pytest.approx([1.0, 0.6, 0.6])


def test_mistakes_are_drawn(classified: ClassificationSet) -> None:
    answers = probabilities([[0, 1, 0]] * 6)
    for exhibit in classify_exhibits(classified, answers):
        picture = cv2.imdecode(np.frombuffer(exhibit.png, np.uint8), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        assert picture.shape[1:] == (768, 4)
        assert picture[..., 3].min() == 0  # the page's own ground shows through


def test_large_pictures_are_shrunk_before_they_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    def draw(images: Sequence[NDArray[np.uint8]], *_: Sequence[Any]) -> bytes:
        shapes.extend(image.shape for image in images)
        return PNG

    monkeypatch.setattr("tombola.train.tasks.classify.exhibits.worst_mistakes_png", draw)
    pixels = ArrayPixels(np.zeros((2, 960, 1200), np.uint8), "photos")
    labels = np.zeros(2, np.int64)
    data = ClassificationSet(("a", "b"), labels, ("0", "1"), pixels, np.arange(2))
    classify_exhibits(data, probabilities([[0, 1]] * 2))
    assert shapes == [(384, 480, 3)] * 2


def test_no_mistake(classified: ClassificationSet) -> None:
    (matrix,) = classify_exhibits(classified, np.eye(3, dtype=np.float32)[classified.labels])
    assert "There is no mistake." in matrix.sentence


@pytest.mark.parametrize("n_classes", [1, 20, 100])
def test_a_matrix_of_any_size(n_classes: int) -> None:
    matrix = np.eye(n_classes, dtype=np.int64)
    assert confusion_matrix_png(matrix, [f"class {n}" for n in range(n_classes)]).startswith(b"\x89PNG")


# Mistakes of a detector.


def record(
    boxes: Sequence[Sequence[float]], labels: Sequence[int], difficult: Sequence[bool]
) -> DetectionRecord:
    return DetectionRecord(
        "x.jpg", np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64),
        np.array(difficult, np.bool_), None,
    )  # fmt: skip


def prediction(*found: tuple[Sequence[float], float, int]) -> Prediction:
    return Prediction(
        np.array([box for box, _, _ in found], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in found], np.float32),
        np.array([label for _, _, label in found], np.int64),
    )


A, B, FAR = (0, 0, 10, 10), (20, 0, 40, 10), (60, 60, 70, 70)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, str]]]:
    """What is drawn, as (picture, words), a list an exhibit."""
    shown: list[list[tuple[int, str]]] = []

    def draw(_: Any, mistakes: Any, __: str) -> bytes:
        shown.append([(mistake.index, mistake.words) for mistake in mistakes])
        return PNG

    monkeypatch.setattr(mistake_module, "_draw", draw)
    return shown


def mistakes(records: Sequence[DetectionRecord], predictions: Sequence[Prediction]) -> list[Exhibit]:
    data = SimpleNamespace(
        classes=("cat", "dog"), records=records, read=lambda _: np.full((80, 90, 3), 9, np.uint8)
    )
    return mistake_exhibits(data, predictions, 0.5)  # type: ignore[arg-type]


def test_each_kind_of_false_alarm(drawn: list[list[tuple[int, str]]]) -> None:
    one_cat = record([A], [0], [False])
    cat = (A, 0.9, 0)
    exhibits = mistakes(
        [one_cat] * 5,
        [
            prediction(cat, (FAR, 0.6, 1)),
            prediction(cat, ((0, 0, 10, 9), 0.7, 1)),
            prediction(cat, ((0, 0, 10, 40), 0.8, 0)),
            prediction(cat, (A, 0.6, 0), (FAR, 0.49, 0)),  # a second box, and one below the threshold
            prediction(cat, (FAR, 0.5, 1), (FAR, 0.95, 0)),  # the surest stands for its picture
        ],
    )
    assert [exhibit.title for exhibit in exhibits] == ["Worst false alarms"]
    assert exhibits[0].sentence.startswith("5 of 11 detections of score at least 0.5 are not on an object")
    assert drawn == [
        [
            (4, "cat 0.95: nothing there"),
            (2, "cat 0.80: badly placed"),
            (1, "dog 0.70: is cat"),
            (0, "dog 0.60: nothing there"),
        ]
    ]


def test_misses_largest_first_and_none_that_is_difficult(drawn: list[list[tuple[int, str]]]) -> None:
    exhibits = mistakes(
        [record([A], [0], [False]), record([A, B], [0, 1], [False, False]), record([B], [0], [True])],
        [prediction((A, 0.4, 0)), prediction(), prediction()],
    )
    assert [exhibit.title for exhibit in exhibits] == ["Largest misses"]
    assert exhibits[0].sentence.startswith("3 of 3 objects have no detection")
    assert drawn == [[(1, "dog missed"), (0, "cat missed")]]


def test_a_perfect_detector_and_an_empty_picture() -> None:
    assert (
        mistakes([record([A], [0], [False]), record([], [], [])], [prediction((A, 1, 0)), prediction()]) == []
    )


def test_mistakes_of_a_detector_are_drawn() -> None:
    exhibits = mistakes([record([A], [0], [False])], [prediction(((0, 0, 10, 40), 0.8, 0))])
    assert len(exhibits) == 2
    for exhibit in exhibits:
        assert cv2.imdecode(np.frombuffer(exhibit.png, np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_loss_like_that_of_an_ignorant_network_is_told() -> None:
    rows = [{"epoch": epoch, "loss": 1.4, "loss_cross_entropy": 1.36} for epoch in (1, 2, 3)]
    (sentence,) = judge_curves(rows, ACCURACY, {"cross_entropy": math.log(4), "unknown": 1.0})
    assert "loss is 1.36 at the end, and a network that knows nothing has 1.39" in sentence
    assert not judge_curves(rows, ACCURACY, {"cross_entropy": math.log(5)})
    assert not judge_curves([], ACCURACY, {"cross_entropy": 1.0})


@pytest.mark.parametrize(
    ("reached", "guessed", "is_told"),
    [
        (0.14, 0.12, True),
        (0.54, 0.5, True),
        (0.56, 0.5, False),
        (0.25, 0.1, False),
        (0.05, 0.01, False),
        (0.9, 0.9, True),
    ],
)
def test_a_score_barely_above_a_guess_is_told(reached: float, guessed: float, is_told: bool) -> None:
    rows = [{"epoch": 1.0, "loss": 0.1, "valid_accuracy": reached}]
    told = judge_curves(rows, ACCURACY, {}, guessed)
    assert len(told) == is_told
    if is_told:
        assert f"{100 * reached:.2f} %" in told[0]
        assert f"{100 * guessed:.2f} %" in told[0]


def test_a_score_of_which_less_is_better_is_judged_so(run: RunFolder) -> None:
    nll = Score("nll", "nats", higher_is_better=False)
    (rising,) = judge_curves(rows(FALLING, valid_nll=[0.9, 0.4, 0.5, 0.6]), nll, {})
    assert "nll was best after epoch 2 (0.4) and rose to 0.6 while" in rising
    (falling,) = judge_curves(rows(FALLING, valid_nll=[0.9, 0.6, 0.5, 0.4]), nll, {})
    assert "nll was still falling at the end, from 0.5 to 0.4" in falling
    run.write_metrics([{"epoch": n, "step": n, "loss": 1, "valid_nll": 0.5 + n} for n in (1, 2, 3)])
    page = report(run, score=nll)
    assert "1.5 nats" in page.text
    assert "lowest point" in page.text


def test_few_epochs_are_not_called_good(run: RunFolder) -> None:
    run.write_metrics([{"epoch": 1, "step": 10, "loss": 0.2, "valid_accuracy": 0.9}])
    run.write_watch([], [])
    page = report(run)
    assert "too few epochs to judge" in page.text
    assert "nothing was found wrong" not in page.text


# How good a detector is.


def test_the_report_of_a_detector_has_a_table_curves_and_confusions() -> None:
    truths = [Truth(*(np.array(part) for part in ([A, B], [0, 1], [False, False])))]
    found = [prediction((A, 0.9, 0), (B, 0.6, 0))]
    table, curves, matrix = score_exhibits(found, truths, ("cat", "$dog$"), 0.5)
    assert isinstance(table, ExhibitTable)
    assert table.columns == ("class", "boxes", "AP", "precision", "recall", "F1")
    assert table.rows == [
        ("cat", "1", "100.0", "50.0", "100.0", "66.7"),
        ("$dog$", "1", "0.0", "–", "0.0", "0.0"),
        ("all", "2", "50.0", "50.0", "50.0", "50.0"),
    ]
    assert "the F1 of all is best at score 0.90" in table.sentence
    assert "1 of 1 objects of $dog$ are taken for cat" in matrix.sentence
    for exhibit in (curves, matrix):
        assert isinstance(exhibit, Exhibit)
        assert cv2.imdecode(np.frombuffer(exhibit.png, np.uint8), cv2.IMREAD_UNCHANGED) is not None


def test_a_detector_that_confuses_nothing_and_one_without_objects() -> None:
    truths = [Truth(*(np.array(part) for part in ([A], [0], [False])))]
    *_, matrix = score_exhibits([prediction((FAR, 0.9, 0))], truths, ("cat",), 0.5)
    assert "No object is taken for one of another class." in matrix.sentence
    assert (
        score_exhibits([prediction()], [Truth(np.zeros((0, 4)), np.zeros(0), np.zeros(0))], ("cat",), 0.5)
        == []
    )
