"""`check` names every fault at once; the summary counts; the table groups."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tombola.errors import DataError
from tombola.train.data.boxes import formats
from tombola.train.data.boxes.check import check
from tombola.train.data.boxes.summary import summarize
from tombola.train.data.finding import Finding, Kind, raise_first
from tombola.train.data.pictures.pictures import FolderPictures


def write_picture(path: Path, height: int, width: int, seed: int = 0) -> None:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), noise)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A COCO set with one fault of every kind, and one sound picture."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed, name in enumerate(
        ("sound.jpg", "boxes.jpg", "size.jpg", "turned.jpg", "cut.jpg", "unsized.jpg")
    ):
        write_picture(pictures / name, 40, 60, seed)
    shutil.copy(pictures / "sound.jpg", pictures / "twin.jpg")
    (pictures / "cut.jpg").write_bytes((pictures / "cut.jpg").read_bytes()[:1500])
    (pictures / "text.jpg").write_text("not a picture")
    (pictures / "empty.jpg").write_bytes(b"")
    sizes = {"size.jpg": (80, 120), "turned.jpg": (60, 40), "unsized.jpg": (0, 0)}
    names = [
        "sound.jpg", "boxes.jpg", "size.jpg", "turned.jpg", "cut.jpg", "text.jpg", "empty.jpg",
        "gone.jpg", "twin.jpg", "unsized.jpg", "sound.jpg",
    ]  # fmt: skip
    boxes = [
        (0, 1, [5, 5, 20, 20]),
        (1, 1, [5, 5, 0, 20]),  # no area
        (1, 1, [50, 5, 30, 20]),  # outside
        (1, 9, [5, 5, 20, 20]),  # unknown class
        (1, 2, [10, 10, 20, 20]),
        (1, 2, [10, 10, 20, 20]),  # twice
        (1, 1, [10, 10, 20, 20]),  # the same place, but another class
        (9, 1, [50, 5, 30, 20]),  # outside, which only the picture tells
        (77, 1, [5, 5, 20, 20]),  # of no picture
    ]
    content = {
        "images": [
            {
                "id": i,
                "file_name": name,
                "height": sizes.get(name, (40, 60))[0],
                "width": sizes.get(name, (40, 60))[1],
            }
            for i, name in enumerate(names)
        ],
        "annotations": [{"image_id": i, "category_id": c, "bbox": box} for i, c, box in boxes],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "cow"}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    return tmp_path


def test_every_fault_is_found_at_once_with_its_place(broken: Path) -> None:
    findings = check(formats.read(broken / "boxes.json", broken / "pictures"))
    found = sorted((str(one.kind), one.where) for one in findings)
    assert found == sorted(
        [
            ("annotated twice", "boxes.json, image 10 (sound.jpg)"),
            ("bad annotation", "boxes.json, annotation 8"),
            ("box outside", "boxes.json, image 1 (boxes.jpg), box 1"),
            ("box outside", "boxes.json, image 9 (unsized.jpg), box 0"),
            ("class without boxes", str(broken / "boxes.json")),
            ("duplicate box", "boxes.json, image 1 (boxes.jpg), box 4"),
            ("duplicate picture", "twin.jpg"),
            ("missing picture", "boxes.json, image 7 (gone.jpg)"),
            ("size differs", "boxes.json, image 2 (size.jpg)"),
            ("size differs", "boxes.json, image 3 (turned.jpg)"),
            ("unknown class", "boxes.json, image 1 (boxes.jpg), box 2"),
            ("unreadable picture", "cut.jpg"),
            ("unreadable picture", "empty.jpg"),
            ("unreadable picture", "text.jpg"),
            ("zero area", "boxes.json, image 1 (boxes.jpg), box 0"),
        ]
    )
    assert all(one.what and one.cure for one in findings)
    cures = {one.where: one.cure for one in findings}
    assert "EXIF" in cures["boxes.json, image 3 (turned.jpg)"]
    assert "EXIF" not in cures["boxes.json, image 2 (size.jpg)"]


def test_training_refuses_what_stops_it_and_check_says_which(broken: Path) -> None:
    with pytest.raises(
        DataError, match=r"boxes\.json: bad annotation: [\s\S]* and \d more: `tombola data check`"
    ):
        formats.load(broken / "boxes.json", broken / "pictures")
    harmless = {
        Kind.DUPLICATE_BOX,
        Kind.DUPLICATE_PICTURE,
        Kind.IN_TWO_SETS,
        Kind.NEAR_TWIN,
        Kind.NOT_ANNOTATED,
        Kind.TWO_CLASSES,
        Kind.CLASS_WITHOUT_BOXES,
        Kind.CLASS_WITHOUT_PICTURES,
        Kind.UNREAD_FORMAT,
    }
    assert {kind for kind in Kind if not kind.stops_training} == harmless


def test_harmless_findings_let_a_set_load(tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "classes.txt").write_text("cat\ndog")
    for name in ("a", "b"):
        write_picture(tmp_path / f"{name}.png", 10, 10)
        (labels / f"{name}.txt").write_text("0 .5 .5 .4 .4\n0 .5 .5 .4 .4\n")
    annotations = formats.read(labels, tmp_path)
    kinds = [one.kind for one in check(annotations)]
    assert sorted(kinds) == sorted(
        [Kind.DUPLICATE_BOX, Kind.DUPLICATE_BOX, Kind.DUPLICATE_PICTURE, Kind.CLASS_WITHOUT_BOXES]
    )
    assert len(formats.load(labels, tmp_path)) == 2


def test_a_sound_set_has_no_findings_and_one_without_boxes_has(tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "classes.txt").write_text("cat")
    write_picture(tmp_path / "a.png", 10, 10)
    (labels / "a.txt").write_text("0 .5 .5 .4 .4")
    assert check(formats.read(labels, tmp_path)) == []
    (labels / "a.txt").write_text("")
    kinds = [one.kind for one in check(formats.read(labels, tmp_path))]
    assert kinds == [Kind.CLASS_WITHOUT_BOXES, Kind.NO_BOXES]


def test_a_broken_picture_is_reported_once_though_the_reader_meets_it_too(tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "classes.txt").write_text("cat")
    write_picture(tmp_path / "a.png", 10, 10)
    (tmp_path / "b.jpg").write_text("no picture")
    (labels / "a.txt").write_text("0 .5 .5 .4 .4")
    findings = check(formats.read(labels, tmp_path))
    assert [(one.kind, one.where) for one in findings] == [(Kind.UNREADABLE_PICTURE, "b.jpg")]


def test_the_error_shows_three_and_counts_the_rest() -> None:
    raise_first([], "set")
    findings = [Finding(Kind.ZERO_AREA, f"p{number}", "w", "c") for number in range(5)]
    with pytest.raises(DataError) as caught:
        raise_first(findings, "set")
    assert str(caught.value).splitlines() == [
        "set: zero area: p0: w; c",
        "  zero area: p1: w; c",
        "  zero area: p2: w; c",
        "  and 2 more: `tombola data check` lists them all",
    ]
    with pytest.raises(DataError) as caught:
        raise_first(findings[:1], "set")
    assert str(caught.value) == "set: zero area: p0: w; c"


def test_summary_counts_faults_and_all(broken: Path) -> None:
    summary = summarize(formats.read(broken / "boxes.json", broken / "pictures"))
    assert (summary.pictures, summary.empty_pictures) == (11, 8)
    assert (summary.boxes, summary.difficult_boxes) == (8, 0)
    assert summary.boxes_by_class == {"cat": 5, "dog": 2, "cow": 0, "category 9": 1}
    assert summary.picture_sizes_hw == ((40, 60), (40, 60), (40, 60))
    assert summary.box_side_px == pytest.approx((0, 20, 600**0.5))
    rows = dict(summary.rows())
    assert rows["pictures"] == "11 (8 without boxes)"
    assert rows["picture size, smallest / median / largest"] == "60×40 / 60×40 / 60×40 px"
    assert rows["box side, smallest / median / largest"] == "0 / 20 / 24 px"
    assert rows["  cat"] == "5"


def test_summary_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"images": [], "annotations": [], "categories": []}')
    summary = summarize(formats.read(tmp_path / "x.json", tmp_path))
    assert (summary.picture_sizes_hw, summary.box_side_px, summary.boxes) == (None, None, 0)
    assert summary.rows()[0] == ("pictures", "0 (0 without boxes)")


def test_a_picture_that_cannot_be_opened_is_a_finding(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: FolderPictures, name: str, limit: int | None = None) -> bytes:  # noqa: ARG001
        raise DataError(f"picture {name} cannot be read: Permission denied")

    monkeypatch.setattr(FolderPictures, "read_bytes", refuse)
    findings = check(formats.read(broken / "boxes.json", broken / "pictures"))
    unread = {one.where: one.what for one in findings if one.kind is Kind.UNREADABLE_PICTURE}
    assert len(unread) == 9
    assert unread["sound.jpg"] == "picture sound.jpg cannot be read: Permission denied"
    assert not any(one.kind is Kind.DUPLICATE_PICTURE for one in findings)
