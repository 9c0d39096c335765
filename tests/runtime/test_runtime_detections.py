"""Results: typed, frozen, JSON-ready, handed on to supervision."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from tombola.errors import TombolaError
from tombola.runtime.tasks.detect.answer import Detection, Detections


def two() -> Detections:
    return Detections(
        boxes_xyxy=np.array([[1.25, 2, 30.125, 40], [0, 0, 5, 5.006]], np.float32),
        scores=np.array([0.9, 0.123456], np.float32),
        labels=np.array([7, 0], np.int64),
        names=("dog", "cat"),
        size_hw=(50, 60),
    )


def none() -> Detections:
    return Detections(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), (), (50, 60)
    )


def test_dictionary_is_pinned() -> None:
    assert json.loads(json.dumps(two().to_dict())) == {
        "size_hw": [50, 60],
        "detections": [
            {"box_xyxy": [1.25, 2.0, 30.12, 40.0], "score": 0.9, "label": 7, "name": "dog"},
            {"box_xyxy": [0.0, 0.0, 5.0, 5.01], "score": 0.1235, "label": 0, "name": "cat"},
        ],
    }
    assert none().to_dict() == {"size_hw": [50, 60], "detections": []}


def test_iteration_gives_plain_python_values() -> None:
    first, second = two()
    assert first == Detection((1.25, 2.0, 30.125, 40.0), first.score, 7, "dog")
    assert abs(first.score - 0.9) < 1e-6
    assert type(first.score) is float
    assert type(second.label) is int
    assert len(two()) == 2
    assert not none()


def test_a_place_or_a_slice_as_of_a_list() -> None:
    found = two()
    assert [found[0], found[1]] == [found[-2], found[-1]] == list(found)
    with pytest.raises(IndexError):
        found[2]
    best = found[:1]
    assert isinstance(best, Detections)
    assert (list(best), best.size_hw) == ([found[0]], (50, 60))
    assert list(found[::-1]) == [found[1], found[0]]
    assert len(found[5:]) == len(none()[:3]) == 0


def test_results_cannot_be_changed() -> None:
    found = two()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.names = ()  # type: ignore[misc]
    for array in (found.boxes_xyxy, found.scores, found.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_supervision_gets_the_same_boxes() -> None:
    supervision = pytest.importorskip("supervision")
    given = two().to_supervision()
    assert isinstance(given, supervision.Detections)
    np.testing.assert_array_equal(given.xyxy, two().boxes_xyxy)
    np.testing.assert_array_equal(given.confidence, two().scores)
    np.testing.assert_array_equal(given.class_id, two().labels)
    assert given.data["class_name"].tolist() == ["dog", "cat"]
    given.xyxy[0] = 0  # theirs to change
    assert len(none().to_supervision()) == 0


def test_supervision_that_is_absent_is_told_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(TombolaError, match=r"pip install 'tombola\[live\]'"):
        two().to_supervision()
