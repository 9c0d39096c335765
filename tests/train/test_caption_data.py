"""Captions in Karpathy's JSON, their faults, and words as tokens."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.toy_captions import write_toy
from tombola.errors import DataError, RecipeError
from tombola.train.data.captions import formats
from tombola.train.data.captions.caption_set import merge
from tombola.train.data.captions.check import Part, look_at_parts
from tombola.train.data.captions.vocabulary import END, START, UNKNOWN, Vocabulary, count_words
from tombola.train.data.captions.words import split_words


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("captions") / "toy"
    write_toy(root)
    return root


def test_a_split_of_the_file_is_read(toy: Path) -> None:
    data = formats.load(toy / "captions.json", toy / "pictures", "val")
    assert len(data) == 6
    assert data.records[0].file_name == "03.png"
    assert data.records[0].captions == (
        ("a", "red", "square", "on", "the", "right"),
        ("the", "right", "has", "a", "red", "square"),
    )
    assert data.read(0).shape == (40, 48, 3)
    assert len(data.fold(["0/2"])) == 3
    train = formats.load(toy / "captions.json", toy / "pictures", "train")
    assert len(merge([data, train])) == 24
    with pytest.raises(DataError, match=r"03\.png is in two of the merged sets"):
        merge([data, data])


def written(folder: Path, images: list[Any]) -> Path:
    path = folder / "captions.json"
    path.write_text(json.dumps({"images": images}), encoding="utf-8")
    return path


def sentences(*captions: str) -> list[dict[str, Any]]:
    return [{"raw": one} for one in captions]


def test_every_fault_is_named(toy: Path, tmp_path: Path) -> None:
    images = [
        {"filename": "00.png", "sentences": [*sentences("A red square.", " . "), {"tokens": ["ok", 3]}]},
        {"filename": "01.png", "sentences": sentences("word " * 500)},
        {"filename": "gone.png", "sentences": sentences("not there")},
        {"filename": "00.png", "sentences": sentences("again")},
        {"sentences": sentences("of nothing")},
        {"filename": "02.png", "sentences": []},
        7,
    ]
    file = formats.read(written(tmp_path, images), toy / "pictures")
    told = [f"{one.kind}: {one.where}: {one.what}" for one in file.faults()]
    assert told == [
        "bad annotation: captions.json, image 0 (00.png), sentence 1: the caption is empty",
        "bad annotation: captions.json, image 0 (00.png), sentence 2: it has neither tokens, a list of "
        "words, nor raw, a text",
        "bad annotation: captions.json, image 1 (01.png), sentence 0: the caption has 500 words, more than "
        "200",
        "bad annotation: captions.json, image 4: it has no filename",
        "bad annotation: captions.json, image 5 (02.png): its sentences are [], not a list of some",
        "bad annotation: captions.json, image 6: it has no filename",
        "annotated twice: 00.png: 2 entries are of this picture",
        f"missing picture: gone.png: is not in FolderPictures('{toy / 'pictures'}')",
    ]
    with pytest.raises(DataError, match="and 5 more: `tombola data check` lists them all"):
        file.to_set()
    assert file.records[0].captions == (("a", "red", "square"),)


@pytest.mark.parametrize(
    ("content", "match"),
    [("{", "cannot be read as JSON"), ("[]", "no list `images`"), ('{"images": 3}', "no list `images`")],
)
def test_what_is_no_such_file(toy: Path, tmp_path: Path, content: str, match: str) -> None:
    path = tmp_path / "captions.json"
    with pytest.raises(DataError, match="does not exist"):
        formats.load(path, toy / "pictures", format_name="karpathy")
    path.write_text(content)
    with pytest.raises(DataError, match=match):
        formats.load(path, toy / "pictures", format_name="karpathy")


def test_other_formats_say_the_same(toy: Path, tmp_path: Path) -> None:
    said = {"00.png": ["A red square.", "Red, on the left"], "01.png": ["Ein blaues Quadrat"]}
    wanted = [
        ("00.png", (("a", "red", "square"), ("red", "on", "the", "left"))),
        ("01.png", (("ein", "blaues", "quadrat"),)),
    ]
    rows = [(name, number, one) for name, own in said.items() for number, one in enumerate(own)]
    coco = {
        "images": [{"id": place, "file_name": name} for place, name in enumerate(said)],
        "annotations": [{"image_id": list(said).index(name), "caption": one} for name, _, one in rows],
    }
    files = {
        "coco.json": json.dumps(coco),
        "tokens.txt": "".join(f"{name}#{number}\t{one}\n" for name, number, one in rows),
        "captions.csv": "file,caption\n" + "".join(f'{name},"{one}"\n' for name, _, one in rows),
    }
    for file, text in files.items():
        path = tmp_path / file
        path.write_text(text, encoding="utf-8")
        assert formats.holds_captions(path)
        records = formats.load(path, toy / "pictures").records
        assert [(one.file_name, one.captions) for one in records] == wanted
        with pytest.raises(DataError, match="has no splits, so none of it is 'train'"):
            formats.load(path, toy / "pictures", "train")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        (
            "a.txt",
            "00.png#0\tred\n00.png red\n01.png#0\t!\n",
            ["line 2: it is not", "line 3: the caption is empty"],
        ),
        ("a.csv", "00.png,red\n01.png,a, b\n", ["row 2: it has 3 columns, not file and caption"]),
        (
            "a.json",
            '{"images": [{"id": 1, "file_name": "00.png"}, {"id": 2}], "annotations": '
            '[{"image_id": 1, "caption": "red"}, {"image_id": 7, "caption": "red"}, {"caption": "red"}]}',
            [
                "image 1: it has no file_name",
                "annotation 1: its image_id 7",
                "annotation 2: it has no image_id",
            ],
        ),
    ],
)
def test_faults_of_other_formats(toy: Path, tmp_path: Path, file: str, text: str, told: list[str]) -> None:
    path = tmp_path / file
    path.write_text(text)
    findings = formats.read(path, toy / "pictures").findings
    assert [one.kind for one in findings] == ["bad annotation"] * len(told)
    for one, wanted in zip(findings, told, strict=True):
        assert f"{one.where}: {one.what}".startswith(f"{file}, {wanted}")


def test_a_file_that_is_of_no_format(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("red squares\n")
    assert not formats.holds_captions(tmp_path / "a.txt")
    assert not formats.holds_captions(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="neither Karpathy's JSON nor COCO's captions"):
        formats.read(tmp_path / "a.txt", toy / "pictures")
    with pytest.raises(DataError, match="cannot be read"):
        formats.read(tmp_path / "gone.csv", toy / "pictures")


def test_a_split_that_nothing_is_of(toy: Path) -> None:
    with pytest.raises(DataError, match="no captioned picture; check the file, its format and the name of"):
        formats.load(toy / "captions.json", toy / "pictures", "validation")


def test_a_look_at_sets_finds_a_picture_in_two(toy: Path, tmp_path: Path) -> None:
    file = formats.read(toy / "captions.json", toy / "pictures", "val")
    rows, findings = look_at_parts([Part("valid", file), Part("test", file, ("0/2",))])
    assert ("pictures", "6") in rows
    assert ("captions", "12") in rows
    assert ("words a caption, fewest / median / most", "6 / 6 / 6") in rows
    assert [one.where for one in findings] == ["test: 03.png", "test: 11.png", "test: 19.png"]
    (tmp_path / "bad.png").write_bytes(b"no picture")
    images = [{"filename": "bad.png", "sentences": sentences("a bad one")}]
    _, findings = look_at_parts([Part("", formats.read(written(tmp_path, images), tmp_path))])
    assert [one.kind for one in findings] == ["unreadable picture"]


def test_words_of_any_script() -> None:
    assert split_words("A dog's red-brown ball, number 7!") == (
        "a",
        "dog's",
        "red-brown",
        "ball",
        "number",
        "7",
    )
    assert split_words("Ein Mädchen läuft.") == ("ein", "mädchen", "läuft")
    assert split_words("一只狗 在跑。") == ("一只狗", "在跑")
    assert split_words("कुत्ता दौड़ता है।") == ("कुत्ता", "दौड़ता", "है")
    assert split_words(" - ' … ") == ()


def test_a_vocabulary_counts_and_translates() -> None:
    captions = [("a", "dog"), ("a", "cat"), ("a", "dog", "<unk>"), ("b", "cat")]
    words = count_words(captions, 2)
    assert words == ("<end>", "<start>", "<unk>", "a", "cat", "dog")
    vocabulary = Vocabulary(words)
    assert (END, START, UNKNOWN) == (0, 1, 2)
    tokens = vocabulary.encode(("a", "b", "dog"), 10)
    assert tokens == [3, UNKNOWN, 5, END]
    assert vocabulary.decode([3, 5, END, 4]) == ("a", "dog")
    # A caption that is cut has no end.
    assert vocabulary.encode(("a", "dog", "a"), 3) == [3, 5, 3]


def test_vocabularies_that_are_none(toy: Path) -> None:
    from tombola.train.tasks.table import open_task

    recipe = toy / "recipe.toml"
    with pytest.raises(DataError, match="must begin with <end>, <start>, <unk>"):
        open_task(recipe, ['data.classes = ["a", "dog"]'])
    with pytest.raises(DataError, match=r"lower data\.least_count"):
        open_task(recipe, ["data.least_count = 1000"])
    with pytest.raises(RecipeError, match=r"answer\.beam_size = 0"):
        open_task(recipe, ["answer.beam_size = 0"])


def test_pixels_are_read_as_bytes(toy: Path) -> None:
    assert formats.load(toy / "captions.json", toy / "pictures").read(1).dtype == np.uint8
