"""Box annotations as tools really write them: read right, or a fault; never a picture without its boxes."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tombola.errors import DataError
from tombola.train.data.boxes.annotations import Annotations
from tombola.train.data.boxes.check import check
from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.data.boxes.readers import coco, voc, yolo


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures a.png, of 100 × 80 pixels, and b.png."""
    picture(tmp_path / "photos" / "a.png", 1)
    picture(tmp_path / "photos" / "b.png", 2)
    return tmp_path / "photos"


def stopping(annotations: Annotations) -> list[str]:
    return [f"{one.where}: {one.what}" for one in check(annotations) if one.kind.stops_training]


def refused(annotations: Annotations, words: str) -> None:
    """`data check` and training both refuse it."""
    from tombola.train.data.boxes.annotations import to_detection_set

    assert any(words in line for line in stopping(annotations)), stopping(annotations)
    with pytest.raises(DataError) as caught:
        to_detection_set(annotations)
    assert words in str(caught.value)


def boxes_of(one: DetectionSet, name: str = "a.png") -> list[list[float]]:
    (record,) = [record for record in one.records if record.file_name == name]
    rounded: list[list[float]] = np.round(record.boxes_xyxy.astype(float), 2).tolist()
    return rounded


# COCO


def write_coco(folder: Path, box: dict[str, Any], image: dict[str, Any] | None = None, **more: Any) -> Path:
    content = {
        "images": [{"id": 1, "file_name": "a.png", **(image or {})}],
        "annotations": [{"image_id": 1, "category_id": 1, **box}],
        "categories": [{"id": 1, "name": "cat"}],
        **more,
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder / "boxes.json"


BOX = {"bbox": [10, 20, 30, 40]}


@pytest.mark.parametrize("size", [{}, {"width": 100.0, "height": 80.0}, {"width": "100", "height": "80"}])
def test_a_box_outside_is_found_however_the_size_is_written(
    tmp_path: Path, photos: Path, size: dict[str, Any]
) -> None:
    path = write_coco(tmp_path, {"bbox": [90, 70, 60, 60]}, size)
    refused(coco.read(path, photos), "reaches out of the picture of 100×80 px")
    assert boxes_of(coco.load(write_coco(tmp_path, BOX, size), photos)) == [[10, 20, 40, 60]]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"width": 200, "height": 160}, "a.png is 100×80 px, annotated as 200×160"),
        ({"width": 100.5, "height": 80}, "annotated as 100.5×80"),
        ({"width": "wide", "height": 80}, "its size: 'wide' is not a number"),
        ({"width": 10**900, "height": 80}, "its size: "),
        ({"width": [100], "height": 80}, "its size: [100] is not a number"),
        ({"width": -100, "height": -80}, "annotated as -100×-80"),
    ],
)
def test_a_size_that_is_not_the_pictures_is_a_fault(
    tmp_path: Path, photos: Path, size: dict[str, Any], words: str
) -> None:
    refused(coco.read(write_coco(tmp_path, BOX, size), photos), words)


def test_ids_may_be_texts(tmp_path: Path, photos: Path) -> None:
    path = write_coco(
        tmp_path, {**BOX, "image_id": "1", "category_id": "1"}, categories=[{"id": 1.0, "name": "cat"}]
    )
    assert boxes_of(coco.load(path, photos)) == [[10, 20, 40, 60]]
    path = write_coco(tmp_path, {**BOX, "image_id": "a"}, {"id": "a"})
    assert boxes_of(coco.load(path, photos)) == [[10, 20, 40, 60]]


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ({"bbox": []}, "bbox is []; it needs 4 numbers"),
        ({"bbox": [10**400, 1, 1, 1]}, "bbox: "),
        ({"bbox": [1, 1, None, 1]}, "bbox: None is not a number"),
        ({"bbox": [1, 1, True, 1]}, "bbox: True is not a number"),
        ({"bbox": {"x": 1}}, "bbox is {'x': 1}; it needs 4 numbers"),
        ({"bbox": None}, "'bbox' is missing"),
        ({**BOX, "image_id": True}, "image_id is True"),
        ({**BOX, "image_id": float("nan")}, "image_id is nan"),
        ({**BOX, "iscrowd": "maybe"}, "difficult or iscrowd: 'maybe' is neither"),
        ({"bbox": [], "segmentation": [[1, 2, 3]]}, "segmentation holds [1, 2, 3]"),
        ({"segmentation": [[1, 2, 3, 4, 5, "x"]]}, "segmentation: 'x' is not a number"),
        ({"segmentation": {"size": [5], "counts": []}}, "segmentation.size is [5]"),
        ({"segmentation": {"size": [5, 5], "counts": [20, 20]}}, "do not fit its size"),
        ({"segmentation": {"size": [5, 5], "counts": [25]}}, "not one pixel"),
        ({"segmentation": {"size": [5, 5], "counts": "\x7f"}}, "segmentation.counts holds"),
        ({"segmentation": 7}, "segmentation is 7"),
    ],
)
def test_odd_entries_of_coco_are_named(tmp_path: Path, photos: Path, box: dict[str, Any], words: str) -> None:
    refused(coco.read(write_coco(tmp_path, box), photos), words)


@pytest.mark.parametrize("word", ["0", "False", "no", 0.0, None, False])
def test_a_crowd_flag_may_be_a_word(tmp_path: Path, photos: Path, word: object) -> None:
    one = coco.load(write_coco(tmp_path, {**BOX, "iscrowd": word}), photos)
    assert one.records[0].difficult.tolist() == [False]


def test_a_category_id_twice_is_a_fault(tmp_path: Path, photos: Path) -> None:
    path = write_coco(tmp_path, BOX, categories=[{"id": 1, "name": "cat"}, {"id": "1", "name": "dog"}])
    refused(coco.read(path, photos), "id 1 is taken by 'cat'")
    name: object
    for name in (None, "", [], True):
        path = write_coco(tmp_path, BOX, categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": name}])
        refused(coco.read(path, photos), "category 1: ")


def test_polygons_alone_give_their_bounding_box(tmp_path: Path, photos: Path) -> None:
    triangles = [[10, 20, 40, 20, 40, 30], [35, 25, 40, 60, 20, 30]]
    for box in ({"segmentation": triangles}, {"segmentation": triangles, "bbox": []}):
        assert boxes_of(coco.load(write_coco(tmp_path, box), photos)) == [[10, 20, 40, 60]]


def test_runs_of_pixels_alone_give_their_bounding_box(tmp_path: Path, photos: Path) -> None:
    """Held to pycocotools' own encoder, in both forms."""
    from faster_coco_eval.core import mask as reference

    rng = np.random.default_rng(5)
    for _ in range(30):
        mask = np.zeros((80, 100), np.uint8, order="F")
        y, x = int(rng.integers(0, 60)), int(rng.integers(0, 80))
        height, width = (int(side) for side in rng.integers(1, 20, 2))
        mask[y : y + height, x : x + width] = rng.random((height, width)) < 0.6
        if not mask.any():
            continue
        ys, xs = np.nonzero(mask)
        expected = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]
        packed = reference.encode(mask)
        flat = mask.flatten(order="F")
        ends = np.flatnonzero(np.diff(flat, prepend=0, append=flat[-1] ^ 1))
        plain = np.diff(ends, prepend=0).tolist()
        for counts in (packed["counts"].decode(), plain):
            entry = {"segmentation": {"size": [80, 100], "counts": counts}}
            assert boxes_of(coco.load(write_coco(tmp_path, entry), photos)) == expected


def test_a_name_may_have_backslashes_or_another_unicode_form(tmp_path: Path, photos: Path) -> None:
    picture(photos / "sub" / unicodedata.normalize("NFD", "café.png"))
    for written in ("sub\\caf\u00e9.png", ".\\sub\\caf\u00e9.png", "./sub/cafe\u0301.png"):
        one = coco.load(write_coco(tmp_path, BOX, {"file_name": written}), photos)
        assert one.records[0].file_name == unicodedata.normalize("NFD", "sub/café.png")
        assert one.read(0).shape == (80, 100, 3)


def test_a_name_beyond_all_limits_is_a_missing_picture(tmp_path: Path, photos: Path) -> None:
    for written in ("x" * 5000 + ".png", "x/" * 3000 + "a.png", "a\0.png", "\ud800.png"):
        refused(coco.read(write_coco(tmp_path, BOX, {"file_name": written}), photos), "is not in")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_coco_in_every_encoding(tmp_path: Path, photos: Path, encoding: str) -> None:
    path = write_coco(tmp_path, BOX)
    path.write_text(path.read_text(), encoding=encoding)
    assert boxes_of(coco.load(path, photos)) == [[10, 20, 40, 60]]


# VOC

OBJECT = (
    "<object><name>cat</name><difficult>{difficult}</difficult>"
    "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>"
)


def write_voc(folder: Path, text: str, name: str = "a.xml") -> Path:
    (folder / "xml").mkdir(exist_ok=True)
    (folder / "xml" / name).write_text(text)
    return folder / "xml"


def voc_text(inside: str = OBJECT.format(difficult=0), file_name: str = "a.png") -> str:
    return f"<annotation><filename>{file_name}</filename>{inside}</annotation>"


@pytest.mark.parametrize(
    ("word", "difficult"),
    [("0", 0), ("False", 0), ("No", 0), ("0.0", 0), ("", 0), ("1", 1), ("true", 1), ("Yes", 1), ("1.0", 1)],
)
def test_difficult_may_be_a_word(tmp_path: Path, photos: Path, word: str, difficult: int) -> None:
    plain = OBJECT.format(difficult=0)  # so that there is something to learn from
    root = write_voc(tmp_path, voc_text(OBJECT.format(difficult=word) + plain))
    assert voc.load(root, photos).records[0].difficult.tolist() == [bool(difficult), False]


@pytest.mark.parametrize(
    "text",
    [
        voc_text().replace("<annotation>", '<annotation xmlns="http://example.org/voc">'),
        voc_text().replace("<annotation>", '<v:annotation xmlns:v="urn:x">').replace("</a", "</v:a"),
        voc_text().replace("object>", "Object>").replace("name>", "NAME>"),
        voc_text().encode("utf-16").decode("utf-16"),
        voc_text(file_name="C:\\photos\\a.png"),
        voc_text(file_name="/home/old/photos/a.png"),
        voc_text(file_name="a.jpg"),
        voc_text(OBJECT.format(difficult=0) + "<size><width>100.0</width><height>80.0</height></size>"),
    ],
)
def test_voc_of_other_spellings_reads_the_same(tmp_path: Path, photos: Path, text: str) -> None:
    one = voc.load(write_voc(tmp_path, text), photos)
    assert (boxes_of(one), one.classes) == ([[10, 20, 40, 60]], ("cat",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (voc_text(OBJECT.format(difficult="maybe")), "difficult: 'maybe' is neither true nor false"),
        ("<annotations><image/></annotations>", "outermost element is 'annotations'"),
        (voc_text(f"<objects>{OBJECT}</objects>"), "are not where VOC has them"),
        (voc_text(OBJECT.replace("object", "item")), "are not where VOC has them"),
        (voc_text("<item><a>1</a><b>2</b><c>3</c><d>4</d></item>"), "'item' may hold boxes"),
        (voc_text(OBJECT.replace("bndbox", "bbox")), "bndbox/xmin is missing"),
        (voc_text(OBJECT.replace("<name>", "<name>dog</name><name>")), "name is there 2 times"),
        (voc_text(OBJECT.replace("11<", "1_1<")), "bndbox/xmin is '1_1', not a number"),
        (voc_text("<size><width>wide</width><height>80</height></size>" + OBJECT), "size/width is 'wide'"),
        (voc_text("<size><width>200</width><height>160</height></size>" + OBJECT), "annotated as 200×160"),
        ('<?xml version="1.0" encoding="foobar"?>' + voc_text(), "not readable XML: unknown encoding"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]>' + voc_text("&b;"), "not readable XML"),
        (voc_text(OBJECT.format(difficult=0).replace("40<", "140<")), "reaches out of the picture"),
    ],
)
def test_what_is_not_understood_in_voc_is_a_fault(
    tmp_path: Path, photos: Path, text: str, words: str
) -> None:
    write_voc(tmp_path, voc_text(file_name="b.png"), "b.xml")
    refused(voc.read(write_voc(tmp_path, text), photos), words)


def test_a_copied_xml_that_names_another_picture_is_a_fault(tmp_path: Path, photos: Path) -> None:
    write_voc(tmp_path, voc_text())
    refused(
        voc.read(write_voc(tmp_path, voc_text(), "b.xml"), photos), "it names a.png, but b.png is there too"
    )


def test_two_pictures_of_one_stem_are_told_apart_by_the_name_or_a_fault(tmp_path: Path, photos: Path) -> None:
    picture(photos / "a.jpg", 3)
    assert boxes_of(voc.load(write_voc(tmp_path, voc_text(file_name="a.jpg")), photos), "a.jpg")
    refused(
        voc.read(write_voc(tmp_path, voc_text(file_name="")), photos), "a.jpg, a.png are all named like it"
    )


def test_xml_in_upper_case_and_in_folders_is_read_and_clutter_is_not(tmp_path: Path, photos: Path) -> None:
    picture(photos / "deep" / "c.png", 4)
    root = write_voc(tmp_path, voc_text(), "a.XML")
    (root / "deep").mkdir()
    (root / "deep" / "c.xml").write_text(voc_text(file_name="c.png"))
    for name in ("._a.xml", "__MACOSX/a.xml", ".ipynb_checkpoints/a.xml"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"\0\5\x16\7")
    one = voc.load(root, photos)
    assert [record.file_name for record in one.records] == ["a.png", "deep/c.png"]


# YOLO


def write_yolo(folder: Path, text: str, yaml: str = "names: [cat, dog]") -> Path:
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "a.txt").write_text(text)
    (folder / "data.yaml").write_text(yaml)
    return folder / "labels"


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
