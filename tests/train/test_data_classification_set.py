"""Folds, choices and merging of a classification set, and where its pictures come from."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.errors import DataError, PictureError
from tombola.train.data.labels.classification_set import ClassificationSet, merge
from tombola.train.data.pictures.pictures import FolderPictures
from tombola.train.data.pictures.pixels import ArrayPixels, FilePixels, JoinedPixels


def numbered(count: int, source: str = "one", first: int = 0) -> ClassificationSet:
    """Picture i is a 2 × 2 square of grey first + i, and odd pictures are cats."""
    greys = np.repeat(np.arange(first, first + count, dtype=np.uint8), 4).reshape(count, 2, 2)
    return ClassificationSet(
        classes=("dog", "cat"),
        labels=np.arange(count) % 2,
        names=tuple(f"{source}[{index}]" for index in range(count)),
        pixels=ArrayPixels(greys, source),
        places=np.arange(count),
    )


def greys(one: ClassificationSet) -> list[int]:
    return [int(one.read(index)[0, 0, 0]) for index in range(len(one))]


@given(st.integers(1, 60), st.integers(1, 9), st.data())
def test_a_fold_and_its_opposite_share_the_set(count: int, n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    whole = numbered(count)
    parts = []
    for fold in (f"{k}/{n}", f"!{k}/{n}"):
        try:
            parts.append(greys(whole.fold([fold])))
        except DataError:
            parts.append([])
    assert parts[0] == list(range(k, count, n))
    assert sorted(parts[0] + parts[1]) == greys(whole)


def test_folds_keep_labels_names_and_pictures_together() -> None:
    part = numbered(20).fold(["!0/5", "1/4"])
    assert greys(part) == [1, 9, 13, 17]
    assert part.labels.tolist() == [1, 1, 1, 1]
    assert part.names[2] == "one[13]"
    assert greys(part.fold(["1/2"])) == [9, 17]
    assert numbered(3).fold([]).names == numbered(3).names
    with pytest.raises(DataError, match="leave none of 4 pictures"):
        numbered(4).fold(["0/2", "1/2"])
    with pytest.raises(DataError, match="write k/n or !k/n"):
        numbered(4).fold(["2/2"])


@given(st.lists(st.integers(0, 11), max_size=20))
def test_take_takes_these_in_this_order(indices: list[int]) -> None:
    part = numbered(12).take(indices)
    assert greys(part) == indices
    assert part.labels.tolist() == [index % 2 for index in indices]
    assert list(part.names) == [f"one[{index}]" for index in indices]


def test_take_of_what_is_not_there() -> None:
    with pytest.raises(IndexError):
        numbered(3).take([3])


def test_merge_reads_each_picture_from_where_it_lies() -> None:
    parts = [numbered(5).fold(["!0/2"]), numbered(3, "two", 100), numbered(5).fold(["0/2"])]
    both = merge(parts)
    assert greys(both) == [1, 3, 100, 101, 102, 0, 2, 4]
    assert both.labels.tolist() == [1, 1, 0, 1, 0, 0, 0, 0]
    assert both.names[2] == "two[0]"
    assert greys(merge([both.fold(["0/4"]), numbered(2, "three", 200)])) == [1, 102, 200, 201]
    assert merge(parts[:1]) is parts[0]


def test_merge_refuses_other_classes_the_same_picture_and_nothing() -> None:
    with pytest.raises(DataError, match="nothing to merge"):
        merge([])
    with pytest.raises(DataError, match=r"one\[4\] is in two of the merged sets"):
        merge([numbered(6).fold(["0/2"]), numbered(6).fold(["1/3"])])
    other = ClassificationSet(
        ("a",), np.zeros(1, np.int64), ("x",), numbered(1, "x").pixels, np.zeros(1, np.int64)
    )
    with pytest.raises(DataError, match="dog, cat against a"):
        merge([numbered(2), other])


def test_pixels_know_their_origin(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((3, 4, 3), (10, 20, 30), np.uint8))
    files = FilePixels(FolderPictures(tmp_path), ["a.png", "gone.png"], "photos")
    rgb = ArrayPixels(np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2), "batch")
    both = JoinedPixels([rgb, files])
    assert [both.origin(place) for place in range(len(both))] == [
        "batch[0]",
        "batch[1]",
        "photos/a.png",
        "photos/gone.png",
    ]
    # Red, green and blue planes one after the other: 12 … 15, 16 … 19, 20 … 23.
    assert both.picture(1).image_rgb_u8[0, 1].tolist() == [13, 17, 21]
    assert both.picture(2).image_rgb_u8[2, 3].tolist() == [30, 20, 10]
    several = list(both.images_rgb_u8(np.array([2, 1, 0, 1])))
    assert [image.tolist() for image in several] == [
        both.picture(place).image_rgb_u8.tolist() for place in (2, 1, 0, 1)
    ]
    with pytest.raises(DataError, match=r"gone\.png cannot be read"):
        both.picture(3)
    some = both.images_rgb_u8(np.array([2, 3, 0]))
    assert next(some).shape == (3, 4, 3)
    with pytest.raises(DataError, match=r"gone\.png cannot be read"):
        next(some)
    (tmp_path / "gone.png").write_text("text")
    with pytest.raises(PictureError, match=r"gone\.png: not a picture"):
        both.picture(3)
