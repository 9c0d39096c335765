"""Files on disk are whole or not there."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.errors import OutputError, PictureError
from tombola.runtime.pictures import output
from tombola.runtime.pictures.output import save_bytes, save_picture, write_beside
from tombola.runtime.pictures.picture import read_rgb

Image = NDArray[np.uint8]


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp"])
def test_picture_comes_back_as_it_was(photo: Image, tmp_path: Path, suffix: str) -> None:
    path = save_picture(photo, tmp_path / "new" / "folder" / f"photo{suffix}")
    np.testing.assert_array_equal(read_rgb(path), photo)
    assert [entry.name for entry in path.parent.iterdir()] == [f"photo{suffix}"]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_picture_comes_back_nearly(photo: Image, tmp_path: Path, suffix: str) -> None:
    image = read_rgb(save_picture(photo, tmp_path / f"photo{suffix}"))
    assert np.abs(image.astype(int) - photo).max() < 16


def test_file_that_is_there_is_replaced(photo: Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_text("old")
    save_picture(photo, path)
    assert read_rgb(path).shape == photo.shape


@pytest.mark.parametrize("name", ["photo.gif", "photo", "photo.txt"])
def test_unknown_suffix(photo: Image, tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"is not one of \.jpg"):
        save_picture(photo, tmp_path / name)


def test_place_that_cannot_be_written(photo: Image, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot write .*photo\.png"):
        save_picture(photo, tmp_path / "file" / "photo.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*folder\.png"):
        save_picture(photo, tmp_path / "folder.png")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.png"]


def test_folder_without_permission(photo: Image, tmp_path: Path, ordinary_user: Callable[[], None]) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    ordinary_user()
    with pytest.raises(OutputError, match=r"cannot write .*photo\.png: Permission denied"):
        save_picture(photo, folder / "photo.png")


def test_picture_larger_than_its_format_holds(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"70000x1 cannot be encoded as \.jpg"):
        save_picture(np.zeros((1, 70_000, 3), np.uint8), tmp_path / "wide.jpg")
    assert list(tmp_path.iterdir()) == []


def test_an_error_on_the_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")

    def break_off() -> None:
        with write_beside(path) as part:
            part.write_text("half of the new")
            raise PictureError("the source broke off")

    with pytest.raises(PictureError):
        break_off()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
def test_disk_that_runs_full(tmp_path: Path) -> None:
    """A process that may write 4 KB a file meets what a full disk gives: a write that stops half way."""
    path = tmp_path / "result.bin"
    path.write_text("old")
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
from tombola.errors import OutputError
from tombola.runtime.pictures.output import save_bytes
try:
    save_bytes(b"x" * 100_000, sys.argv[1])
except OutputError as error:
    print(error)
"""
    printed = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert printed.startswith(f"cannot write {path}: ")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.bin"]


def test_bytes_are_written(tmp_path: Path) -> None:
    assert save_bytes(b"\0\1", str(tmp_path / "a.bin")).read_bytes() == b"\0\1"


def test_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the random name of the file in the making could be known."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    monkeypatch.setattr("os.urandom", lambda count: b"\1" * count)
    link = tmp_path / "out" / f".tombola-{'01' * 8}.part.bin"
    link.parent.mkdir()
    link.symlink_to(victim)
    with pytest.raises(OutputError, match="File exists"):
        save_bytes(b"new", tmp_path / "out" / "result.bin")
    assert victim.read_text() == "mine"
    assert link.is_symlink()


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    assert save_bytes(b"", tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_name_of_the_longest_length_can_be_written(tmp_path: Path) -> None:
    assert save_bytes(b"1", tmp_path / ("x" * 251 + ".bin")).read_bytes() == b"1"


WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from tombola.runtime.pictures.output import write_beside
with write_beside(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    print(part, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_left_over_of_a_killed_process_is_removed_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    def another_process_writes() -> None:
        output._remove_left_overs.cache_clear()
        save_bytes(b"1", tmp_path / "other")

    arguments = [sys.executable, "-c", WRITE_AND_WAIT, str(tmp_path / "result.bin")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        part = Path(writer.stdout.readline().strip())
        another_process_writes()
        assert part.read_bytes() == b"half"
        writer.kill()
    (tmp_path / ".tombola-note.txt").write_text("no file in the making")
    (tmp_path / ".tombola-0.part").symlink_to(tmp_path / "elsewhere")
    another_process_writes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        ".tombola-0.part",
        ".tombola-note.txt",
        "other",
    ]
