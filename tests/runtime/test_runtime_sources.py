"""The files that a name stands for: files, folders, globs, and what is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tombola.errors import PictureError
from tombola.runtime.moving.sources import Expansion, Source, expand


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("b.JPG", "a.png", "clip.mp4", "notes.txt", "deep/c.webp", ".hidden.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(found: Expansion) -> list[tuple[str, str]]:
    return [(source.path.name, source.kind) for source in found.sources]


def test_folder(album: Path) -> None:
    assert names(expand(album)) == [("a.png", "picture"), ("b.JPG", "picture"), ("clip.mp4", "video")]


def test_glob(album: Path) -> None:
    assert names(expand(f"{album}/*.p*")) == [("a.png", "picture")]
    assert names(expand(f"{album}/**/*.webp")) == [("c.webp", "picture")]
    assert names(expand(str(album / "[ab].*"))) == [("a.png", "picture"), ("b.JPG", "picture")]


def test_named_file_is_taken_whatever_it_is_called(album: Path) -> None:
    assert names(expand(album / "notes.txt")) == [("notes.txt", "picture")]
    assert names(expand(str(album / "clip.mp4"))) == [("clip.mp4", "video")]


def test_name_with_the_signs_of_a_glob(tmp_path: Path) -> None:
    (tmp_path / "photo[1].png").write_bytes(b"x")
    (tmp_path / "photo1.png").write_bytes(b"x")
    assert names(expand(tmp_path / "photo[1].png")) == [("photo[1].png", "picture")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gone.png", r"gone\.png: no such file"),
        ("*.pdf", r"no picture or video matches"),
        ("empty", r"the folder holds no pictures"),
    ],
)
def test_nothing_there(album: Path, source: str, message: str) -> None:
    (album / "empty").mkdir()
    with pytest.raises(PictureError, match=message):
        expand(album / source)


def test_what_is_passed_over_is_told(album: Path) -> None:
    assert [path.name for path in expand(album).passed_over] == ["deep", "folder.png", "notes.txt"]
    assert [path.name for path in expand(f"{album}/*").passed_over] == ["notes.txt"]
    assert expand(album / "a.png").passed_over == []


def test_videos_by_suffix_and_by_content(tmp_path: Path) -> None:
    for suffix in (".flv", ".3GP", ".gif", ".m2ts"):
        (tmp_path / f"clip{suffix}").write_bytes(b"x")
        assert names(expand(tmp_path / f"clip{suffix}")) == [(f"clip{suffix}", "video")]
    (tmp_path / "clip").write_bytes(b"\x00\x00\x00\x1cftypisom")
    (tmp_path / "photo.heic").write_bytes(b"\x00\x00\x00\x1cftypheic")
    assert names(expand(tmp_path / "clip")) == [("clip", "video")]
    assert names(expand(tmp_path / "photo.heic")) == [("photo.heic", "picture")]


def test_a_folder_of_type_script_holds_no_transport_streams(tmp_path: Path) -> None:
    (tmp_path / "main.ts").write_text("Give me a reason\n" * 100)
    (tmp_path / "clip.ts").write_bytes((b"\x47" + bytes(187)) * 10)
    found = expand(tmp_path)
    assert names(found) == [("clip.ts", "video")]
    assert [path.name for path in found.passed_over] == ["main.ts"]


@pytest.mark.parametrize("address", ["https://example.org/a.jpg", "RTSP://10.0.0.1/live", "file:///a.jpg"])
def test_addresses_are_refused(address: str) -> None:
    with pytest.raises(PictureError, match="is an address"):
        expand(address)


def test_a_dash_is_a_picture_on_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-").write_bytes(b"x")
    assert expand("-").sources == [Source(Path("-"), "stdin")]
    assert names(expand(os.path.join(".", "-"))) == [("-", "picture")]  # noqa: PTH118


@pytest.mark.parametrize("name", ["0" * 300 + ".jpg", "a\0.jpg", "loop.jpg"])
def test_names_that_the_system_refuses(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(PictureError, match="cannot be looked into"):
        expand(f"{tmp_path}/{name}")


def test_a_folder_that_may_not_be_read(tmp_path: Path, ordinary_user: Callable[[], None]) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "a.jpg").write_bytes(b"x")
    locked.chmod(0)
    ordinary_user()
    for source in (locked, locked / "a.jpg"):
        with pytest.raises(PictureError, match=r"locked.*cannot be looked into \(Permission denied\)"):
            expand(source)
