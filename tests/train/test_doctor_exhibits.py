"""What a report shows of a classifier's and a detector's answers: scores, and the worst mistakes."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.train.data.boxes.detection_set import DetectionRecord
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.data.pictures.pixels import ArrayPixels
from tombola.train.drawing.confusion_matrix import confusion_matrix_png
from tombola.train.metrics.matching import Prediction, Truth
from tombola.train.tasks.classify.exhibits import classify_exhibits
from tombola.train.tasks.detect import mistake_exhibits as mistake_module
from tombola.train.tasks.detect.mistake_exhibits import mistake_exhibits
from tombola.train.tasks.detect.score_exhibits import score_exhibits
from tombola.train.tasks.task import Exhibit, ExhibitTable

PNG = cv2.imencode(".png", np.zeros((2, 3, 3), np.uint8))[1].tobytes()


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
