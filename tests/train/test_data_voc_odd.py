"""VOC annotations as tools really write them: read right, or a fault; never a picture without its boxes."""

from pathlib import Path

import pytest

from tests.train.odd_boxes import OBJECT, boxes_of, picture, refused, voc_text, write_voc
from tombola.train.data.boxes.readers import voc


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
