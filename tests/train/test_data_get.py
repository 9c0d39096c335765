"""Data sets of the catalogue: complete, valid, unpacked whole or not at all."""

import hashlib
import io
import re
import tarfile
import tomllib
from contextlib import nullcontext
from pathlib import Path

import pytest

from tombola.errors import DataError
from tombola.train.download.catalogue import DATA_SETS, RemoteDataSet, RemoteFile
from tombola.train.download.get import find, get


def tell(*_: object) -> None:
    """Progress is tested beside `fetch`."""


def archive(folder: Path, name: str, *members: str, unpacked: str = "photos") -> RemoteFile:
    """A tar that lies where a download would put it."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / name, "w:gz" if name.endswith("gz") else "w") as tar:
        for member in members:
            info = tarfile.TarInfo(member)
            info.size = len(member)
            tar.addfile(info, io.BytesIO(member.encode()))
    content = (folder / name).read_bytes()
    return RemoteFile(
        name, len(content), hashlib.sha256(content).hexdigest(), (), unpacked=unpacked, inside="kit/VOC"
    )


def data_set(*files: RemoteFile) -> RemoteDataSet:
    return RemoteDataSet("some", "something", "CC0", files, "")


def test_archives_become_folders_and_go(tmp_path: Path) -> None:
    one = data_set(
        archive(tmp_path, "a.tar", "kit/VOC/1.txt", "kit/VOC/deep/2.txt", "kit/readme"),
        archive(tmp_path, "b.tar.gz", "kit/VOC/3.txt", unpacked="test"),
    )
    get(one, tmp_path, tell)
    assert sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    ) == [
        "photos/1.txt",
        "photos/deep/2.txt",
        "test/3.txt",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "test"]
    get(one, tmp_path, tell)  # nothing to do; the files have no url to come from


@pytest.mark.parametrize("member", ["../outside.txt", "/outside.txt", "kit/../../outside.txt"])
def test_an_archive_cannot_write_outside(tmp_path: Path, member: str) -> None:
    folder = tmp_path / "data"
    one = data_set(archive(folder, "a.tar", "kit/VOC/1.txt", member))
    # A leading slash is dropped, and to climb out is refused.
    with nullcontext() if member.startswith("/") else pytest.raises(DataError, match="cannot be unpacked"):
        get(one, folder, tell)
    assert [path.name for path in folder.iterdir()] == ["photos" if member.startswith("/") else "a.tar"]
    assert not (tmp_path / "outside.txt").exists()
    assert not Path("/outside.txt").exists()


def test_an_archive_of_something_else_is_named_and_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.tar holds no folder kit/VOC"):
        get(data_set(archive(tmp_path, "a.tar", "other/1.txt")), tmp_path, tell)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]
    text = RemoteFile("a.tar", 4, hashlib.sha256(b"text").hexdigest(), (), unpacked="photos", inside="x")
    (tmp_path / "a.tar").write_bytes(b"text")
    with pytest.raises(DataError, match=r"a\.tar cannot be unpacked: .*remove it"):
        get(data_set(text), tmp_path, tell)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_names_are_found_or_listed() -> None:
    assert find("mnist").name == "mnist"
    with pytest.raises(
        DataError, match="there are the data sets mnist, fashion-mnist, cifar10, cifar100, voc2007"
    ):
        find("imagenet")


@pytest.mark.parametrize("one", DATA_SETS, ids=lambda one: one.name)
def test_the_catalogue_is_well_formed(one: RemoteDataSet) -> None:
    assert one.what
    assert one.rights
    for file in one.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.size_bytes > 1000
        assert all(re.match("https?://", url) and url.endswith(file.name) for url in file.urls)
        assert file.urls
        assert bool(file.unpacked) == bool(file.inside) == (".tar" in file.name)
    assert (
        len({file.sha256 for file in one.files}) == len({file.name for file in one.files}) == len(one.files)
    )


def test_the_published_sizes() -> None:
    assert {one.name: one.size_bytes for one in DATA_SETS} == {
        "mnist": 11_594_722,
        "fashion-mnist": 30_878_645,
        "cifar10": 170_498_071,
        "cifar100": 169_001_437,
        "voc2007": 911_052_800,
    }


@pytest.mark.parametrize("one", DATA_SETS, ids=lambda one: one.name)
def test_its_recipe_is_a_valid_one_and_names_what_is_there_then(one: RemoteDataSet) -> None:
    table = tomllib.loads(one.recipe)
    there = {file.unpacked or file.name for file in one.files}
    for split in ("train", "valid", "test"):
        for source in table[split]:
            for key in {"pictures", "labels", "annotations"} & source.keys():
                assert source[key].split("/")[0] in there
    table["root"] = "somewhere"
    if table["format"] == "voc":
        from tombola.train.tasks.detect.recipe import DetectData

        assert DetectData.model_validate(table).train[0].folds == ("!0/10",)
    else:
        from tombola.train.tasks.classify.recipe import ClassifyData

        assert ClassifyData.model_validate(table).valid[0].folds[0].startswith("0/")
