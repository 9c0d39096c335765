"""One look at a classification set finds every fault, and counts."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from tombola.errors import DataError
from tombola.runtime.pictures.header import FORMATS
from tombola.train.data.finding import Kind
from tombola.train.data.labels.classify_formats import load, read
from tombola.train.data.labels.labelled_check import look_at


def picture(path: Path, seed: int, size_hw: tuple[int, int] = (6, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (*size_hw, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), noise)


def test_every_fault_is_found_at_once_with_its_place(tmp_path: Path) -> None:
    for seed, name in enumerate(("cat/a.png", "cat/b.png", "dog/c.png", "stray.png")):
        picture(tmp_path / name, seed)
    picture(tmp_path / "cat/twin.bmp", 0)  # the same pixels in another format
    picture(tmp_path / "dog/cat.png", 1)
    (tmp_path / "dog/text.jpg").write_text("no picture")
    (tmp_path / "cow").mkdir()
    summary, findings = look_at(read(tmp_path))
    assert sorted((str(one.kind), one.where, one.what) for one in findings) == [
        ("bad annotation", "stray.png", "it lies in no class's folder"),
        ("class without pictures", str(tmp_path), "class 'cow' has no picture"),
        ("duplicate picture", "cat/twin.bmp", "the same pixels as cat/a.png"),
        (
            "one picture in two classes",
            "dog/cat.png",
            "the same pixels as cat/b.png, but dog here and cat there",
        ),
        (
            "unreadable picture",
            "dog/text.jpg",
            f"not a picture that Tombola reads ({FORMATS}); convert it to one of these.",
        ),
    ]
    assert all(one.cure for one in findings)
    assert summary.pictures_by_class == {"cat": 3, "cow": 0, "dog": 3}
    assert summary.pictures == 6


def test_a_sound_set_has_no_finding_and_loads(tmp_path: Path) -> None:
    for seed, name in enumerate(("cat/a.png", "dog/b.png")):
        picture(tmp_path / name, seed)
    assert look_at(read(tmp_path))[1] == []
    assert len(load(tmp_path)) == 2


def test_labels_out_of_range_and_counts_that_differ(tmp_path: Path) -> None:
    pictures, labels = tmp_path / "pictures", tmp_path / "labels"
    pictures.write_bytes(bytes.fromhex("00000803 00000003 00000001 00000001 00 ff 00"))
    labels.write_bytes(bytes.fromhex("00000801 00000004 00 02 01 00"))
    summary, findings = look_at(read(pictures, labels, ["off", "on"]))
    assert [(one.kind, one.where) for one in findings] == [
        (Kind.BAD_ANNOTATION, "pictures"),
        (Kind.UNKNOWN_CLASS, "pictures[1]"),
        (Kind.TWO_CLASSES, "pictures[2]"),
    ]
    assert findings[1].what == "label 2, but there are 2 classes, 0 … 1"
    assert summary.pictures_by_class == {"off": 1, "on": 1}
    # A twin whose label is out of range is told by its number.
    labels.write_bytes(bytes.fromhex("00000801 00000003 00 01 07"))
    what = {one.kind: one.what for one in look_at(read(pictures, labels, ["off", "on"]))[1]}
    assert what[Kind.TWO_CLASSES] == "the same pixels as pictures[0], but of label 7 here and off there"


def test_the_summary_measures_all_pixels(tmp_path: Path) -> None:
    """Pictures of different sizes: every pixel counts the same."""
    values = []
    for seed, size_hw in enumerate(((4, 5), (30, 20), (7, 9))):
        picture(tmp_path / "cat" / f"{seed}.png", seed, size_hw)
        values.append(load(tmp_path).read(seed).reshape(-1, 3))
    pixels = np.concatenate(values).astype(np.float64)
    summary, _ = look_at(read(tmp_path))
    assert summary.mean_rgb == pytest.approx(pixels.mean(axis=0))
    assert summary.spread_rgb == pytest.approx(pixels.std(axis=0))
    assert summary.picture_sizes_hw == ((4, 5), (7, 9), (30, 20))
    assert not summary.is_grey
    rows = dict(summary.rows())
    assert rows["picture size, smallest / median / largest"] == "5×4 / 9×7 / 20×30 px"
    assert rows["mean, red, green, blue 0 … 255"] == ", ".join(f"{mean:.1f}" for mean in pixels.mean(axis=0))
    assert rows["  cat"] == "3"


def test_the_summary_of_grey_and_of_no_pictures(tmp_path: Path) -> None:
    pictures, labels = tmp_path / "pictures", tmp_path / "labels"
    pictures.write_bytes(bytes.fromhex("00000803 00000002 00000001 00000001 00 ff"))
    labels.write_bytes(bytes.fromhex("00000801 00000002 00 01"))
    rows = dict(look_at(read(pictures, labels))[0].rows())
    assert (rows["mean, grey 0 … 255"], rows["standard deviation, grey 0 … 255"]) == ("127.5", "127.5")
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    summary, findings = look_at(read(tmp_path / "empty"))
    assert summary.rows() == [("pictures", "0"), ("classes", "1"), ("  cat", "0")]
    assert [one.kind for one in findings] == [Kind.CLASS_WITHOUT_PICTURES, Kind.NO_PICTURES]


def test_a_label_far_beyond_the_classes_costs_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "batch").open("wb") as file:
        pickle.dump({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10**12]}, file, protocol=2)
    summary, findings = look_at(read(tmp_path / "batch", classes=["cat", "dog"]))
    assert summary.pictures_by_class == {"cat": 1, "dog": 0}
    assert [one.where for one in findings if one.kind == Kind.UNKNOWN_CLASS] == ["batch[1]"]
    with pytest.raises(DataError, match="the label 1000000000000"):
        read(tmp_path / "batch")
