"""COCO, VOC and YOLO: the same small set in each form gives the same records; odd files; refusals."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tombola.errors import DataError
from tombola.train.data.boxes import formats
from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.data.boxes.readers import coco, voc, yolo

# Two pictures of 100 × 80 and 60 × 40 pixels, and one without boxes: name, width, height, boxes.
Boxes = list[tuple[str, tuple[int, int, int, int], bool]]
PICTURES: list[tuple[str, int, int, Boxes]] = [
    ("a.jpg", 100, 80, [("cat", (10, 20, 50, 60), False), ("dog", (0, 0, 100, 80), True)]),
    ("b.jpg", 60, 40, [("dog", (30, 10, 60, 30), False)]),
    ("c.jpg", 30, 30, []),
]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    root.mkdir()
    for name, width, height, _ in PICTURES:
        cv2.imwrite(str(root / name), np.full((height, width, 3), 99, np.uint8))
    return root


def coco_content() -> dict[str, Any]:
    numbers = {"cat": 3, "dog": 7}
    return {
        "images": [
            {"id": 10 + i, "file_name": name, "width": width, "height": height}
            for i, (name, width, height, _) in enumerate(PICTURES)
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": 10 + i,
                "category_id": numbers[name],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "difficult": int(difficult),
            }
            for i, (_, _, _, boxes) in enumerate(PICTURES)
            for name, (x1, y1, x2, y2), difficult in boxes
        ],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
    }


def write_coco(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    return path


def voc_text(name: str, width: int, height: int, boxes: Boxes) -> str:
    objects = "".join(
        f"<object><name>{label}</name><difficult>{int(difficult)}</difficult>"
        f"<bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"
        f"<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
        "</object>"
        for label, (x1, y1, x2, y2), difficult in boxes
    )
    return (
        f"<annotation><filename>{name}</filename>"
        f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>{objects}</annotation>"
    )


def write_voc(tmp_path: Path) -> Path:
    root = tmp_path / "xml"
    root.mkdir()
    for name, width, height, boxes in PICTURES:
        (root / name).with_suffix(".xml").write_text(voc_text(name, width, height, boxes))
    return root


def write_yolo(tmp_path: Path) -> Path:
    root = tmp_path / "labels"
    root.mkdir()
    (root / "classes.txt").write_text("cat\ndog\n")
    for name, width, height, boxes in PICTURES[:2]:  # c.jpg has no txt file: no boxes
        lines = [
            f"{('cat', 'dog').index(label)} {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} "
            f"{(x2 - x1) / width} {(y2 - y1) / height}\n"
            for label, (x1, y1, x2, y2), _ in boxes
        ]
        (root / name).with_suffix(".txt").write_text("".join(lines) + "\n")
    return root


def assert_is_the_set(one: DetectionSet, difficult: bool = True) -> None:
    assert one.classes == ("cat", "dog")
    assert [record.file_name for record in one.records] == ["a.jpg", "b.jpg", "c.jpg"]
    for record, (_, width, height, boxes) in zip(one.records, PICTURES, strict=True):
        columns = (record.boxes_xyxy, record.labels, record.difficult)
        assert [str(column.dtype) for column in columns] == ["float32", "int64", "bool"]
        assert record.boxes_xyxy.shape == (len(boxes), 4)
        assert record.boxes_xyxy == pytest.approx(
            np.array([box for _, box, _ in boxes], np.float32).reshape(-1, 4), abs=1e-4
        )
        assert [one.classes[label] for label in record.labels] == [name for name, _, _ in boxes]
        assert record.difficult.tolist() == [hard and difficult for _, _, hard in boxes]
        assert record.size_hw == (height, width)
    assert one.read(0).shape == (80, 100, 3)


def test_coco(tmp_path: Path, pictures: Path) -> None:
    path = write_coco(tmp_path, coco_content())
    assert_is_the_set(coco.load(path, pictures))
    assert_is_the_set(formats.load(path, pictures))


def test_records_are_sorted_by_file_name(tmp_path: Path, pictures: Path) -> None:
    content = coco_content()
    content["images"].reverse()
    content["annotations"].reverse()
    one = coco.load(write_coco(tmp_path, content), pictures)
    assert [record.file_name for record in one.records] == ["a.jpg", "b.jpg", "c.jpg"]
    assert one.records[1].boxes_xyxy.tolist() == [[30, 10, 60, 30]]


def test_voc(tmp_path: Path, pictures: Path) -> None:
    root = write_voc(tmp_path)
    assert_is_the_set(voc.load(root, pictures))
    assert_is_the_set(formats.load(root, pictures, format_name="voc"))


def test_yolo(tmp_path: Path, pictures: Path) -> None:
    root = write_yolo(tmp_path)
    assert_is_the_set(yolo.load(root, pictures), difficult=False)
    assert_is_the_set(formats.load(root, pictures), difficult=False)


def test_asked_classes_give_the_order(tmp_path: Path, pictures: Path) -> None:
    for annotations in (write_coco(tmp_path, coco_content()), write_voc(tmp_path), write_yolo(tmp_path)):
        one = formats.load(annotations, pictures, ["bird", "dog", "cat"])
        assert one.classes == ("bird", "dog", "cat")
        assert one.records[0].labels.tolist() == [2, 1]
        with pytest.raises(DataError, match="class 'dog' is not one of cat"):
            formats.load(annotations, pictures, ["cat"])


def test_a_crowd_is_difficult(tmp_path: Path, pictures: Path) -> None:
    content = coco_content()
    content["annotations"][0]["iscrowd"] = 1
    assert coco.load(write_coco(tmp_path, content), pictures).records[0].difficult.tolist() == [True, True]


def test_boxes_that_reach_out_by_rounding_are_clipped(tmp_path: Path, pictures: Path) -> None:
    content = coco_content()
    content["annotations"][1]["bbox"] = [-0.7, -0.2, 101.5, 80.9]
    assert coco.load(write_coco(tmp_path, content), pictures).records[0].boxes_xyxy[1].tolist() == [
        0,
        0,
        100,
        80,
    ]


def test_a_size_that_is_not_written_is_that_of_the_picture(tmp_path: Path, pictures: Path) -> None:
    content = coco_content()
    del content["images"][0]["width"]
    content["images"][1]["height"] = 0
    records = coco.load(write_coco(tmp_path, content), pictures).records
    assert [record.size_hw for record in records] == [(80, 100), (40, 60), (30, 30)]


@pytest.mark.parametrize(
    ("key", "number", "change", "words"),
    [
        ("annotations", 0, {"bbox": [10, 20, 0, 40]}, r"zero area: .*image 10 \(a\.jpg\), box 0"),
        ("annotations", 0, {"bbox": [10, 20, -5, 40]}, "zero area"),
        ("annotations", 0, {"bbox": [10, 20, 95, 40]}, "box outside: .*100×80 px"),
        ("annotations", 0, {"bbox": [100, 20, 0.9, 40]}, "zero area: .*inside of the picture"),
        ("annotations", 0, {"bbox": [10, 20, float("nan"), 40]}, "not finite"),
        ("annotations", 0, {"bbox": [10, 20, 30]}, "bad annotation: boxes.json, annotation 0: "),
        ("annotations", 0, {"bbox": "10 20 30 40"}, "bad annotation"),
        ("annotations", 0, {"bbox": None}, "bad annotation"),
        ("annotations", 0, {"image_id": 99}, "image_id 99 is not among the images"),
        ("annotations", 0, {"image_id": [1]}, "bad annotation"),
        ("annotations", 0, {"category_id": 4}, "unknown class: .*'category 4'"),
        (
            "images",
            0,
            {"file_name": None},
            r"boxes.json, images\[0\]: 'file_name' is missing",
        ),
        ("images", 1, {"id": 10}, r"id 10 is taken by a\.jpg"),
        ("images", 1, {"file_name": "a.jpg"}, "annotated twice"),
        ("images", 1, {"file_name": "nothing.jpg"}, r"missing picture: .*nothing\.jpg is not in"),
        ("images", 1, {"file_name": "../pictures/b.jpg"}, "missing picture"),
        ("categories", 0, {"id": [7]}, "bad annotation"),
    ],
)
def test_coco_faults_are_named(
    tmp_path: Path, pictures: Path, key: str, number: int, change: dict[str, Any], words: str
) -> None:
    content = coco_content()
    content[key][number] |= change
    with pytest.raises(DataError, match=words):
        coco.load(write_coco(tmp_path, content), pictures)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "no list 'images'"),
        ({"images": [], "annotations": {}}, "no list 'annotations'"),
        ({"images": [], "annotations": []}, "no list 'categories'"),
        ({"images": [], "annotations": [], "categories": []}, "no boxes: .*0 pictures and not one box"),
        ({"images": [1], "annotations": ["x"], "categories": [None]}, "and 1 more: `tombola data check`"),
    ],
)
def test_json_of_another_form(tmp_path: Path, pictures: Path, content: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        coco.load(write_coco(tmp_path, content), pictures)


def test_files_that_are_no_json(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "boxes.json"
    with pytest.raises(DataError, match=r"boxes\.json cannot be read: No such file"):
        coco.load(path, pictures)
    for data in (b"", b"{", b"\xff\xfe\x00", b"[" * 100_000):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"boxes\.json is not JSON"):
            coco.load(path, pictures)


def test_a_set_without_boxes_or_with_difficult_ones_only_cannot_be_trained_on(
    tmp_path: Path, pictures: Path
) -> None:
    content = coco_content()
    kept = content["annotations"]
    content["annotations"] = []
    with pytest.raises(DataError, match="3 pictures and not one box; label some"):
        coco.load(write_coco(tmp_path, content), pictures)
    content["annotations"] = [kept[1]]
    with pytest.raises(DataError, match="3 pictures and only difficult boxes"):
        coco.load(write_coco(tmp_path, content), pictures)


def test_names_that_all_miss_show_what_the_store_holds(tmp_path: Path, pictures: Path) -> None:
    content = coco_content()
    for image in content["images"]:
        image["file_name"] = "pictures/" + image["file_name"]
    with pytest.raises(DataError, match=r"as in the store, which holds a\.jpg"):
        coco.load(write_coco(tmp_path, content), pictures)


def test_voc_finds_a_renamed_picture_by_the_name_of_the_xml(tmp_path: Path, pictures: Path) -> None:
    root = write_voc(tmp_path)
    (root / "a.xml").write_text(voc_text("IMG_2931.JPG", *PICTURES[0][1:]))
    assert_is_the_set(voc.load(root, pictures))
    (root / "b.xml").write_text(voc_text("", *PICTURES[1][1:]))
    assert_is_the_set(voc.load(root, pictures))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<xmin>11</xmin>", "", r"bad annotation: a\.xml, object 0: bndbox/xmin is missing"),
        ("<xmin>11</xmin>", "<xmin>left</xmin>", "bndbox/xmin is 'left', not a number"),
        ("<xmin>11</xmin>", "<xmin>70</xmin>", r"zero area: a\.xml, box 0"),
        ("<xmax>50</xmax>", "<xmax>150</xmax>", r"box outside: a\.xml, box 0"),
        ("<name>cat</name>", "<name> </name>", "name is missing"),
        ("</annotation>", "", r"bad annotation: a\.xml: not readable XML"),
        (
            "<filename>a.jpg",
            "<filename>b.jpg",
            r"a\.xml: it names b\.jpg, but a\.jpg is there too",
        ),
    ],
)
def test_voc_faults_are_named(tmp_path: Path, pictures: Path, old: str, new: str, words: str) -> None:
    root = write_voc(tmp_path)
    text = (root / "a.xml").read_text()
    assert old in text
    (root / "a.xml").write_text(text.replace(old, new))
    with pytest.raises(DataError, match=words):
        voc.load(root, pictures)


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>", "<size/>"])
def test_voc_without_a_size(tmp_path: Path, pictures: Path, size: str) -> None:
    root = write_voc(tmp_path)
    text = (root / "b.xml").read_text()
    start, end = text.index("<size>"), text.index("</size>") + len("</size>")
    (root / "b.xml").write_text(text[:start] + size + text[end:])
    assert voc.load(root, pictures).records[1].size_hw == (40, 60)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "0 0.5 0.5 0.2",
            r"bad annotation: a\.txt, line 1: '0 0\.5 0\.5 0\.2' has 3 numbers after the class",
        ),
        ("cat 0.5 0.5 0.2 0.2", "class 'cat' is not a whole number"),
        ("-1 0.5 0.5 0.2 0.2", "class '-1' is not a whole number"),
        ("0 0.5 0.5 0.2 wide", "is not all numbers"),
        ("0 0.5 0.5 0.2 nan", "not finite"),
        ("0 0.5 0.5 0 0.2", "zero area"),
        ("0 0.9 0.5 0.4 0.2", "box outside"),
        ("0 50 40 20 20", "box outside"),  # pixels instead of shares
        ("2 0.5 0.5 0.2 0.2", "unknown class: .*'number 2'"),
    ],
)
def test_yolo_faults_are_named(tmp_path: Path, pictures: Path, line: str, words: str) -> None:
    root = write_yolo(tmp_path)
    (root / "a.txt").write_text(line)
    with pytest.raises(DataError, match=words):
        yolo.load(root, pictures)


def test_yolo_polygons_become_their_bounding_box(tmp_path: Path, pictures: Path) -> None:
    root = write_yolo(tmp_path)
    (root / "a.txt").write_text("0 0.1 0.25 0.5 0.5 0.3 0.75")
    record = yolo.load(root, pictures).records[0]
    assert record.boxes_xyxy == pytest.approx(np.array([[10, 20, 50, 60]], np.float32))


def test_yolo_txt_without_a_picture_and_a_broken_picture(tmp_path: Path, pictures: Path) -> None:
    root = write_yolo(tmp_path)
    (root / "z.txt").write_text("0 0.5 0.5 0.2 0.2")
    with pytest.raises(DataError, match=r"missing picture: z\.txt: no picture named z in"):
        yolo.load(root, pictures)
    (root / "z.txt").write_bytes(b"\xff\xfe0 0.5")
    (root / "z.txt").rename(root / "a.txt")
    with pytest.raises(DataError, match=r"bad annotation: a\.txt: not readable"):
        yolo.load(root, pictures)
    (root / "a.txt").unlink()
    (pictures / "b.jpg").write_bytes(b"text")
    with pytest.raises(DataError, match=r"unreadable picture: b\.jpg"):
        yolo.load(root, pictures)


def test_yolo_names_come_from_beside_above_or_the_caller(tmp_path: Path, pictures: Path) -> None:
    root = write_yolo(tmp_path)
    (root / "classes.txt").unlink()
    with pytest.raises(DataError, match="no class names found"):
        yolo.load(root, pictures)
    assert_is_the_set(yolo.load(root, pictures, ["cat", "dog"]), difficult=False)
    (tmp_path / "data.yaml").write_text("path: .\nnames:\n  0: cat\n  1: dog\nnc: 2\n")
    assert_is_the_set(yolo.load(root, pictures), difficult=False)


def test_paths_that_hold_no_known_format_are_named(tmp_path: Path, pictures: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "boxes.csv").write_text("x")
    with pytest.raises(DataError, match="holds neither"):
        formats.read(empty, pictures)
    with pytest.raises(DataError, match="does not exist"):
        formats.read(tmp_path / "none", pictures)
    with pytest.raises(DataError, match=r"boxes\.csv is no \.json file"):
        formats.read(tmp_path / "boxes.csv", pictures)
    with pytest.raises(DataError, match="format 'idx' is not known; use one of coco, voc, yolo"):
        formats.read(empty, pictures, format_name="idx")
    for read in (voc.read, yolo.read):
        with pytest.raises(DataError, match="no folder with"):
            read(empty, pictures)
    with pytest.raises(DataError, match="no such folder or tar"):
        formats.read(write_coco(tmp_path, coco_content()), tmp_path / "none")
