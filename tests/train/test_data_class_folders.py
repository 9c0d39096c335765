"""A folder per class, and which format a path holds."""

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from tombola.errors import DataError
from tombola.train.data.labels.classify_formats import guess_format, load, read


def picture(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((4, 6, 3), value, np.uint8))
    return path


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """Two dogs, one of them in a folder of its own below, and one cat."""
    for number, name in enumerate(("dog/b.png", "cat/z.png", "dog/deep/a.png")):
        picture(tmp_path / "animals" / name, 10 * number)
    (tmp_path / "animals" / "dog" / "notes.txt").write_text("good dogs")
    return tmp_path / "animals"


def test_the_topmost_folder_is_the_class_and_names_are_sorted(animals: Path) -> None:
    one = load(animals)
    assert one.classes == ("cat", "dog")
    assert one.names == ("cat/z.png", "dog/b.png", "dog/deep/a.png")
    assert one.labels.tolist() == [0, 1, 1]
    assert [int(one.read(index).mean()) for index in range(3)] == [10, 0, 20]
    assert one.fold(["!0/2"]).read(0).shape == (4, 6, 3)


def test_asked_classes_give_the_order_and_may_have_no_picture(animals: Path) -> None:
    one = load(animals, classes=["dog", "cow", "cat"])
    assert one.labels.tolist() == [2, 0, 0]
    with pytest.raises(
        DataError, match=r"unknown class: cat/z\.png: its class is not one of those asked for"
    ):
        load(animals, classes=["dog"])


def test_an_empty_folder_is_a_class_and_a_hidden_one_is_not(animals: Path) -> None:
    (animals / "cow").mkdir()
    (animals / ".cache").mkdir()
    assert load(animals).classes == ("cat", "cow", "dog")


def test_folders_named_like_sets_are_no_classes_unless_they_are_named(tmp_path: Path) -> None:
    for name in ("train/cat/a.png", "test/cat/b.png"):
        picture(tmp_path / name)
    with pytest.raises(DataError, match=r"its classes are test, train, which look like sets; name one"):
        load(tmp_path)
    assert load(tmp_path, classes=["test", "train"]).labels.tolist() == [0, 1]


def test_the_folder_of_one_class_is_one_finding(tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / "cat" / f"{number}.png")
    with pytest.raises(DataError, match=r"its 3 pictures lie in no class.s folder; name the folder above"):
        load(tmp_path / "cat")


def test_files_of_other_formats_are_told_and_stop_nothing(animals: Path) -> None:
    for name in ("dog/c.avif", "cat/d.HEIC", "cat/.hidden.gif"):
        (animals / name).write_bytes(b"?")
    (finding,) = read(animals).findings
    assert not finding.kind.stops_training
    assert (finding.where, finding.what) == (
        "cat/d.HEIC",
        "files that are not read (.avif, .heic, .txt): 3, this one the first",
    )
    assert len(load(animals)) == 3


@pytest.mark.parametrize("name", ["a.jfif", "b.JPE", "c.JPEG"])
def test_every_suffix_of_a_picture_counts(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "cat" / "a.jpg").rename(tmp_path / "cat" / name)
    assert load(tmp_path).names == (f"cat/{name}",)


def test_a_file_without_suffix_is_listed(animals: Path) -> None:
    (animals / "dog" / "notes.txt").unlink()
    picture(animals / "dog" / "c.jpg").rename(animals / "dog" / "c")
    (finding,) = read(animals).findings
    assert (finding.where, finding.what) == (
        "dog/c",
        "files that are not read (no suffix): 1, this one the first",
    )


@pytest.mark.parametrize(
    "names",
    [
        ("images/a.png", "labels/a.txt"),
        ("JPEGImages/a.png", "Annotations/a.xml"),
        ("train/a.png", "train/_annotations.coco.json", "valid/b.png"),
        ("cat/a.png", "cat/a.xml", "dog/b.png"),
        ("cat/a.png", "cat/b.png", "labels/x.json"),
        ("train/labels/a.txt", "train/images/a.png", "valid/images/b.png"),
    ],
)
def test_a_folder_of_annotations_is_never_taken_for_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if name.endswith(".png"):
            picture(tmp_path / name)
        else:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("?")
    with pytest.raises(DataError, match=r"annotations taken for classes: .*no classes; say format"):
        load(tmp_path)


def test_names_of_other_unicode_form_are_one_class(tmp_path: Path) -> None:
    picture(tmp_path / "caf\u00e9" / "a.png", 10)
    picture(tmp_path / "cafe\u0301" / "b.png", 20)
    for classes in (None, ["caf\u00e9"], ["cafe\u0301"]):
        one = load(tmp_path, classes=classes)
        assert (one.classes, one.labels.tolist()) == (("caf\u00e9",), [0, 0])


def test_linked_folders_are_followed_and_loops_are_not(animals: Path) -> None:
    picture(animals.parent / "elsewhere" / "moo.png")
    (animals / "cow").symlink_to(animals.parent / "elsewhere")
    (animals / "dog" / "again").symlink_to(animals)
    (animals / "dog" / "self.png").symlink_to(animals / "dog" / "self.png")
    (animals / "dog" / "self").symlink_to(animals / "dog" / "self")
    picture(animals / "dog" / ".trash" / "old.png")
    one = load(animals)
    assert one.classes == ("cat", "cow", "dog")
    assert one.names == ("cat/z.png", "cow/moo.png", "dog/b.png", "dog/deep/a.png")
    assert one.read(1).shape == (4, 6, 3)


def test_a_plain_tar_reads_as_its_folder_does(animals: Path) -> None:
    with tarfile.open(animals.parent / "animals.tar", "w") as tar:
        tar.add(animals, arcname=".")
    packed, plain = load(animals.parent / "animals.tar"), load(animals)
    assert (packed.names, packed.classes) == (plain.names, plain.classes)
    assert (packed.read(2) == plain.read(2)).all()


def test_a_picture_is_upright(tmp_path: Path) -> None:
    """A JPEG whose EXIF tag says that it lies on its side."""
    lying = np.zeros((20, 40, 3), np.uint8)
    lying[:, :20] = 255
    _, jpeg = cv2.imencode(".jpg", lying)
    # APP1 with one tag: orientation 6, turn by 90° clockwise to show.
    exif = bytes.fromhex("45786966 0000 4d4d002a 00000008 0001 0112 0003 00000001 00060000 00000000")
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    path = tmp_path / "cat" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(jpeg.tobytes()[:2] + segment + jpeg.tobytes()[2:])
    image_rgb_u8 = load(tmp_path).read(0)
    assert image_rgb_u8.shape == (40, 20, 3)
    assert image_rgb_u8[:18].mean() > 250
    assert image_rgb_u8[22:].mean() < 5


def test_what_cannot_be_used_is_named(animals: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its folders are the labels"):
        load(animals, animals)
    picture(animals / "stray.png")
    with pytest.raises(DataError, match=r"stray\.png: it lies in no class's folder; move it"):
        load(animals)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="not one labelled picture"):
        load(tmp_path / "empty")


def test_the_format_is_seen_from_the_files(animals: Path, tmp_path: Path) -> None:
    assert guess_format(animals) == "folder"
    assert guess_format(tmp_path / "data_batch_*") == "cifar"
    (tmp_path / "batch").write_bytes(b"\x80\x02}.")
    assert guess_format(tmp_path / "batch") == "cifar"
    (tmp_path / "test_batch").touch()
    assert guess_format(tmp_path) == "cifar"
    (tmp_path / "pictures").write_bytes(b"\0\0\x08\x03")
    assert guess_format(tmp_path / "pictures") == "idx"
    (tmp_path / "pictures.tar").write_bytes(b"anything")
    assert guess_format(tmp_path / "pictures.tar") == "folder"
    (tmp_path / "empty").touch()
    for name, message in (("empty", "is neither idx"), ("gone", "does not exist")):
        with pytest.raises(DataError, match=message):
            guess_format(tmp_path / name)
    with pytest.raises(DataError, match="'zip' is not known; use one of idx, cifar, folder"):
        load(animals, format_name="zip")


def test_train_and_test_folders_are_no_batches(tmp_path: Path) -> None:
    for name in ("train/cat/a.png", "test/cat/a.png"):
        picture(tmp_path / name)
    assert guess_format(tmp_path) == "folder"


def test_what_is_hidden_is_no_class_and_no_picture(animals: Path, tmp_path: Path) -> None:
    plain = load(animals)
    (animals / "__MACOSX" / "dog").mkdir(parents=True)
    for name in (
        ".ipynb_checkpoints/cat.png",
        "dog/.ipynb_checkpoints/b.png",
        ".stray.png",
        "__MACOSX/dog/._b.png",
        "__MACOSX/c.png",
        "dog/@eaDir/b.png",
    ):
        picture(animals / name)
    (animals / "cat" / "._z.png").write_bytes(b"what macOS puts into a tar")
    with tarfile.open(tmp_path / "animals.tar", "w") as tar:
        tar.add(animals, ".")
    for place in (animals, tmp_path / "animals.tar"):
        found = load(place)
        assert (found.classes, found.names) == (plain.classes, plain.names)
