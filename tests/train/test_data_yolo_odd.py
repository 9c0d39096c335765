"""YOLO annotations as tools really write them: read right, or a fault; never a picture without its boxes."""

import unicodedata
from pathlib import Path

import pytest

from tests.train.odd_boxes import BOX, boxes_of, picture, refused, voc_text, write_coco, write_voc, write_yolo
from tombola.errors import DataError
from tombola.train.data.boxes.check import check
from tombola.train.data.boxes.readers import coco, voc, yolo


@pytest.mark.parametrize("number", ["0", "0.0", "0.000000000000000000e+00", "+0", "00"])
def test_a_class_in_any_notation(tmp_path: Path, photos: Path, number: str) -> None:
    one = yolo.load(write_yolo(tmp_path, f"{number} .25 .5 .3 .5"), photos)
    assert boxes_of(one) == [[10, 20, 40, 60]]


@pytest.mark.parametrize("number", ["0.5", "-1", "nan", "inf", "1e400", "cat", "0,", "1_0"])
def test_what_is_no_class_is_a_fault(tmp_path: Path, photos: Path, number: str) -> None:
    refused(yolo.read(write_yolo(tmp_path, f"{number} .25 .5 .3 .5"), photos), "is not a whole number from 0")


POSES = {
    "two numbers each": ("0 .25 .5 .3 .5  .2 .4 .3 .4 .3 .5 .2 .6", "kpt_shape: [4, 2]"),
    "with flags": ("0 .25 .5 .3 .5  .2 .4 2 .3 .4 1 0 0 0", "kpt_shape: [3, 3]"),
    "with flags, not said": ("0 .25 .5 .3 .5  .2 .4 2 .3 .4 1 0 0 0", ""),
    "an even count with flags, not said": ("0 .25 .5 .3 .5  .2 .4 2 .3 .4 1", ""),
}


@pytest.mark.parametrize("case", POSES)
def test_key_points_are_no_polygon(tmp_path: Path, photos: Path, case: str) -> None:
    line, shape = POSES[case]
    assert boxes_of(yolo.load(write_yolo(tmp_path, line, f"names: [cat]\n{shape}"), photos)) == [
        [10, 20, 40, 60]
    ]


def test_numbers_that_may_be_key_points_or_a_polygon_are_a_fault(tmp_path: Path, photos: Path) -> None:
    line = POSES["two numbers each"][0]
    refused(yolo.read(write_yolo(tmp_path, line), photos), "polygons, or boxes with 4 key points")
    # A polygon that cannot be one settles it for all.
    labels = write_yolo(tmp_path, f"{line}\n1 .1 .25 .5 .5 .3 .75")
    assert boxes_of(yolo.load(labels, photos)) == [[20, 32, 30, 48], [10, 20, 50, 60]]
    refused(
        yolo.read(write_yolo(tmp_path, line, "names: [cat]\nkpt_shape: [3, 2]"), photos), "but kpt_shape is"
    )


def test_a_whole_picture_as_polygon_is_one(tmp_path: Path, photos: Path) -> None:
    labels = write_yolo(tmp_path, "0 0 0 1 0 1 1 0 1 0 0")
    assert boxes_of(yolo.load(labels, photos)) == [[0, 0, 100, 80]]


def test_a_txt_for_two_pictures_is_a_fault(tmp_path: Path, photos: Path) -> None:
    picture(photos / "a.jpg", 3)
    refused(yolo.read(write_yolo(tmp_path, "0 .5 .5 .2 .2"), photos), "named like a.jpg, a.png")


def test_labels_in_upper_case_and_other_unicode_form_are_read(tmp_path: Path, photos: Path) -> None:
    labels = write_yolo(tmp_path, "0 .25 .5 .3 .5")
    (labels / "a.txt").rename(labels / "a.TXT")
    picture(photos / unicodedata.normalize("NFD", "café.png"))
    (labels / unicodedata.normalize("NFC", "café.txt")).write_text("1 .25 .5 .3 .5")
    (labels / "._a.txt").write_bytes(b"\0\5\x16\7")
    one = yolo.load(labels, photos)
    assert boxes_of(one) == [[10, 20, 40, 60]]
    assert [len(record.labels) for record in one.records] == [1, 0, 1]
    (labels / "a.txt").write_text("0 .5 .5 .2 .2")
    refused(yolo.read(labels, photos), "is a file for the same picture")


@pytest.mark.parametrize("name", ["b.xml", "b.json", "b.csv"])
def test_labels_of_another_form_are_a_fault_and_other_files_are_listed(
    tmp_path: Path, photos: Path, name: str
) -> None:
    labels = write_yolo(tmp_path, "0 .5 .5 .2 .2")
    (labels / "train.cache").write_text("?")
    (labels / "a.json").write_text("{}")  # its picture has labels
    (labels / "README.md").write_text("?")
    findings = check(yolo.read(labels, photos))
    assert [(one.kind.value, one.where, one.kind.stops_training) for one in findings][:1] == [
        ("files passed over", "a.json", False)
    ]
    assert "(.cache, .json): 2" in findings[0].what
    (labels / name).write_text("?")
    refused(yolo.read(labels, photos), "it may hold the labels of b.png")


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("names: [cat, dog", "it is not valid YAML"),
        ("names: [cat, dog]\nnc: 3", "nc is 3, but there are 2 names"),
        ("names: [cat, dog]\nnc: many", "nc: 'many' is not a whole number"),
        ("names: {0: cat, 0: dog}", "the key '0' is there twice"),
        ("names: {0: cat, 0.0: dog}", "number '0.0' is there twice"),
        ("names: {zero: cat}", "'zero' is not a whole number"),
        ("names: cat, dog", "names should be a list"),
        ("names: [cat, [dog]]", "a single value is expected"),
        ("names: [cat, '']", "the name of class 1 is empty"),
        ("names: [cat]\nnames: [dog]", "the key 'names' is there twice"),
        ("- names", "a table of `key: value` is expected"),
        ("names: [cat, dog]\nkpt_shape: 17", "kpt_shape should be two numbers"),
        ("[" * 20000, "it is not valid YAML"),
        ("- " * 20000, "it is not valid YAML"),
        ("names: {? [a, b] : cat}", "a single value is expected"),
        ("names: {" + "9" * 5000 + ": cat}", "data.yaml: "),
        ("names: [cat, dog]\n---\nnames: [dog]", "it is not valid YAML"),
        ("names: *none", "it is not valid YAML"),
    ],
)
def test_a_data_yaml_that_is_none_or_contradicts_itself_is_refused(
    tmp_path: Path, photos: Path, yaml: str, words: str
) -> None:
    with pytest.raises(DataError) as caught:
        yolo.read(write_yolo(tmp_path, "0 .5 .5 .2 .2", yaml), photos)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_names_and_labels_in_every_encoding(tmp_path: Path, photos: Path, encoding: str) -> None:
    labels = write_yolo(tmp_path, "1 .25 .5 .3 .5")
    for path, text in ((tmp_path / "data.yaml", "names: [cat, dög]"), (labels / "a.txt", "1 .25 .5 .3 .5")):
        path.write_text(text, encoding=encoding)
    one = yolo.load(labels, photos)
    assert (one.classes, boxes_of(one)) == (("cat", "dög"), [[10, 20, 40, 60]])
    (tmp_path / "data.yaml").unlink()
    (labels / "classes.txt").write_text("cat\ndög\n", encoding=encoding)
    assert yolo.load(labels, photos).classes == ("cat", "dög")
    (labels / "classes.txt").write_text("cat\ndög\n", encoding="latin-1")
    with pytest.raises(DataError, match=r"classes\.txt: its text is not UTF-8"):
        yolo.load(labels, photos)


def test_names_files_that_disagree_are_refused(tmp_path: Path, photos: Path) -> None:
    labels = write_yolo(tmp_path, "0 .5 .5 .2 .2")
    (labels / "classes.txt").write_text("cat\ndog\n")
    assert yolo.load(labels, photos).classes == ("cat", "dog")
    (labels / "classes.txt").write_text("cat\nperson\n")
    with pytest.raises(DataError, match="disagree: class 1 is 'person' in one and 'dog' in the other"):
        yolo.load(labels, photos)


def test_many_classes_cost_no_time(tmp_path: Path, photos: Path) -> None:
    """21,841 classes, as ImageNet has, and a picture with 5,000 boxes."""
    names = "\n".join(f"  {number}: name {number}" for number in range(21_841))
    lines = "\n".join(f"{number} .25 .5 .3 .5" for number in range(5000))
    labels = write_yolo(tmp_path, lines, f"nc: 21841\nnames:\n{names}")
    assert len(yolo.load(labels, photos, [f"name {number}" for number in range(21_841)]).classes) == 21_841


def test_pictures_that_nothing_reads_are_listed(tmp_path: Path, photos: Path) -> None:
    (photos / "c.HEIC").write_bytes(b"?")
    (photos / "d").write_bytes(b"?")
    roots = write_yolo(tmp_path, "0 .5 .5 .2 .2"), write_voc(tmp_path, voc_text()), write_coco(tmp_path, BOX)
    for root, format_ in zip(roots, (yolo, voc, coco), strict=True):
        told = [one.what for one in check(format_.read(root, photos))]
        assert "files that are not read (.heic, no suffix): 2, this one the first" in told
