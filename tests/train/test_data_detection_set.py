"""Folds, merging and reading of a detection set."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tombola.errors import DataError
from tombola.train.data.boxes.detection_set import DetectionRecord, DetectionSet, merge
from tombola.train.data.pictures.pictures import FolderPictures


def record(name: str, size_hw: tuple[int, int] | None = (8, 12)) -> DetectionRecord:
    return DetectionRecord(
        name, np.array([[1, 2, 5, 6]], np.float32), np.zeros(1, np.int64), np.zeros(1, np.bool_), size_hw
    )


def numbered(count: int, root: Path = Path("nowhere"), start: int = 0) -> DetectionSet:
    records = tuple(record(f"{number:04}.jpg") for number in range(start, start + count))
    return DetectionSet(("cat",), records, FolderPictures(root))


def names(one: DetectionSet) -> list[int]:
    return [int(record.file_name[:4]) for record in one.records]


def test_a_fold_keeps_every_fifth_and_its_opposite_the_others() -> None:
    ten = numbered(11)
    assert names(ten.fold(["0/5"])) == [0, 5, 10]
    assert names(ten.fold(["!0/5"])) == [1, 2, 3, 4, 6, 7, 8, 9]


def test_several_folds_must_all_hold_and_count_ranks_of_the_whole_set() -> None:
    assert names(numbered(20).fold(["!0/5", "1/4"])) == [1, 9, 13, 17]
    assert names(numbered(5).fold([])) == [0, 1, 2, 3, 4]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.data())
def test_a_fold_and_its_opposite_share_the_set(count: int, n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    whole = numbered(count)
    parts = []
    for fold in (f"{k}/{n}", f"!{k}/{n}"):
        try:
            parts.append(names(whole.fold([fold])))
        except DataError:
            parts.append([])
    assert sorted(parts[0] + parts[1]) == names(whole)
    assert len(parts[0]) == len(range(k, count, n))


def test_pictures_are_left_out_by_name() -> None:
    four = numbered(4)
    assert names(four.without(["0001.jpg", "0003.jpg"])) == [0, 2]
    assert four.without([]) == four
    with pytest.raises(DataError, match=r"no picture '0009\.jpg'.*write its file name"):
        four.without(["0009.jpg"])
    with pytest.raises(DataError, match="leaves none of 4 pictures"):
        four.without([f"{number:04}.jpg" for number in range(4)])


@pytest.mark.parametrize("fold", ["5/5", "0/0", "-1/5", "1", "a/b", "!!0/5", "0/5/2", "", "0.5/2", "²/5"])
def test_a_fold_of_another_form_is_named(fold: str) -> None:
    with pytest.raises(DataError, match="write k/n or !k/n"):
        numbered(10).fold([fold])


def test_folds_that_leave_nothing_are_an_error() -> None:
    with pytest.raises(DataError, match="leave none of 10 pictures"):
        numbered(10).fold(["0/2", "1/2"])


def test_merge_sorts_by_name_and_reads_each_picture_from_its_own_store(tmp_path: Path) -> None:
    for folder, number, value in (("a", 5, 50), ("b", 2, 200)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / f"{number:04}.jpg"), np.full((8, 12, 3), value, np.uint8))
    both = merge([numbered(1, tmp_path / "a", 5), numbered(1, tmp_path / "b", 2)])
    assert names(both) == [2, 5]
    assert [int(both.read(index).mean()) for index in range(2)] == [200, 50]
    assert both.fold(["0/2"]).read(0).mean() == 200


def test_merge_of_one_is_that_one() -> None:
    one = numbered(3)
    assert merge([one]) is one


def test_merge_refuses_other_classes_the_same_picture_and_nothing() -> None:
    one = numbered(3)
    with pytest.raises(DataError, match="cat against dog"):
        merge([one, DetectionSet(("dog",), one.records, one.pictures)])
    with pytest.raises(DataError, match=r"0000\.jpg is in two"):
        merge([one, one.fold(["0/3"])])
    with pytest.raises(DataError, match="nothing to merge"):
        merge([])


def test_read_gives_the_picture_and_refuses_another_size(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 12, 3), np.uint8))
    pictures = FolderPictures(tmp_path)
    assert DetectionSet(("cat",), (record("x.png"),), pictures).read(0).shape == (8, 12, 3)
    assert DetectionSet(("cat",), (record("x.png", None),), pictures).read(0).shape == (8, 12, 3)
    with pytest.raises(DataError, match=r"x\.png is 12×8 px but its annotation says 8×12"):
        DetectionSet(("cat",), (record("x.png", (12, 8)),), pictures).read(0)
