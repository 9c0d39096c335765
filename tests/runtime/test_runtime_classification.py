"""Results of a classifier: order, ties, JSON, drawing."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.errors import ModelError, PictureError
from tombola.runtime.pictures import lettering
from tombola.runtime.tasks.classify.answer import Classification, Prediction
from tombola.runtime.tasks.classify.draw import enlarge_for_name


def classification(*probabilities: float, names: str = "abcdefgh") -> Classification:
    labels = tuple(names[: len(probabilities)])
    return Classification(np.array(probabilities, np.float32), labels, (50, 60))


def of_name(name: str) -> Classification:
    return Classification(np.ones(1, np.float32), (name,), (28, 28))


def test_best_and_top_are_in_falling_order() -> None:
    found = classification(0.25, 0.125, 0.5, 0.125)
    assert found.best == Prediction(0.5, 2, "c")
    assert (found.name, found.probability) == ("c", 0.5)
    assert [one.name for one in found.top(2)] == ["c", "a"]
    assert [one.name for one in found.top()] == ["c", "a", "b", "d"]  # equal ones as the labels stand
    assert [type(value) for value in dataclasses.astuple(found.best)] == [float, int, str]


def test_a_place_or_a_slice_as_of_a_list_best_first() -> None:
    found = classification(0.25, 0.125, 0.5, 0.125)
    assert found[0] == found.best
    assert found[-1] == Prediction(0.125, 3, "d")
    assert found[:2] == found.top(2)
    assert tuple(found) == found.top(4)
    assert len(found) == 4
    with pytest.raises(IndexError):
        found[4]


def test_k_below_one_is_refused() -> None:
    for k in (0, -1, 1.5, "3", None):
        with pytest.raises(ModelError, match=f"k: {k!r} must be a whole number"):
            classification(1.0).top(k)  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(1, 10))
def test_top_is_the_head_of_a_stable_sort(counts: list[int], k: int) -> None:
    found = classification(*(count / sum(counts) for count in counts))
    wanted = sorted(range(len(counts)), key=lambda label: -counts[label])[:k]
    assert [one.label for one in found.top(k)] == wanted
    for one in found.top(k):
        assert (one.name, one.probability) == (found.labels[one.label], found.probabilities[one.label])


def test_dictionary_is_pinned() -> None:
    assert json.loads(json.dumps(classification(0.25, 0.7499999).to_dict())) == {
        "size_hw": [50, 60],
        "classes": [
            {"name": "b", "label": 1, "probability": 0.75},
            {"name": "a", "label": 0, "probability": 0.25},
        ],
    }
    assert [one["name"] for one in classification(0.25, 0.75).to_dict(1)["classes"]] == ["b"]


def test_results_cannot_be_changed() -> None:
    found = classification(0.25, 0.75)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.labels = ()  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        found.probabilities[0] = 0


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> tuple[slice, slice] | None:
    """The rows and columns that differ."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)) if len(rows) else None


def test_the_name_stands_in_the_top_left_corner_in_its_colour() -> None:
    image = np.full((200, 300, 3), 90, np.uint8)
    before = image.copy()
    found = classification(0.25, 0.75)
    drawn = found.draw(image)
    np.testing.assert_array_equal(image, before)
    width, height = lettering.tag_size("b 0.75", (200, 300))
    assert changed(image, drawn) == (slice(0, height), slice(0, width))
    tag = drawn[:height, :width].reshape(-1, 3)
    assert (tag == lettering.colour_of(1)).all(axis=1).mean() > 0.4


def test_a_picture_without_room_gets_the_name_only_or_nothing() -> None:
    found = of_name("sandal")
    (both, height), (name, _) = (
        lettering.tag_size("sandal 1.00", (60, 60)),
        lettering.tag_size("sandal", (60, 60)),
    )
    assert name < both - 10
    image = np.full((60, both - 1, 3), 90, np.uint8)
    assert changed(image, found.draw(image)) == (slice(0, height), slice(0, name))
    for small in (np.zeros((60, name - 1, 3), np.uint8), np.zeros((height - 1, 300, 3), np.uint8)):
        np.testing.assert_array_equal(found.draw(small), small)


@pytest.mark.parametrize("image", [np.zeros((50, 60), np.uint8), np.zeros((50, 60, 3), np.float32)])
def test_what_is_no_picture_is_not_drawn_on(image: NDArray[np.uint8]) -> None:
    with pytest.raises(PictureError, match=r"uint8 \[height, width, 3\]"):
        classification(1.0).draw(image)


def test_a_small_picture_is_enlarged_until_its_name_has_room() -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    large = enlarge_for_name(image, of_name("Ankle boot"))
    factor = large.shape[0] // 28
    assert factor > 1
    np.testing.assert_array_equal(large, image.repeat(factor, axis=0).repeat(factor, axis=1))
    width, _ = lettering.tag_size("Ankle boot 1.00", large.shape[:2])
    assert 28 * (factor - 1) < width <= 28 * factor  # no larger than needed
    assert changed(large, of_name("Ankle boot").draw(large)) is not None


@pytest.mark.parametrize(
    ("size_hw", "name"),
    [
        ((200, 300), "boot"),
        ((1, 4000), "boot"),
        ((4000, 1), "boot"),
        ((1, 300), "boot"),
        ((28, 28), 200 * "w"),
    ],
)
def test_pictures_with_room_and_those_that_never_have_it_stay(size_hw: tuple[int, int], name: str) -> None:
    image = np.full((*size_hw, 3), 90, np.uint8)
    assert enlarge_for_name(image, of_name(name)).shape == image.shape
