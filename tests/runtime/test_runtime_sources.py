"""Files, folders, globs, videos, and a camera that never lags."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tombola.errors import DisplayError, PictureError
from tombola.runtime.pictures import sources
from tombola.runtime.pictures.sources import Camera, Source, Video, expand


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("b.JPG", "a.png", "clip.mp4", "notes.txt", "deep/c.webp", ".hidden.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(found: list[Source]) -> list[tuple[str, str]]:
    return [(source.path.name, source.kind) for source in found]


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
        ("*.gif", r"no picture or video matches"),
        ("empty", r"the folder holds no pictures"),
    ],
)
def test_nothing_there(album: Path, source: str, message: str) -> None:
    (album / "empty").mkdir()
    with pytest.raises(PictureError, match=message):
        expand(album / source)


def make_video(path: Path, frames: int = 12, fps: float = 10) -> Path:
    """Grey frames of 60x80 pixels, frame i of brightness 20 i."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), fps, (80, 60))
    for index in range(frames):
        writer.write(np.full((60, 80, 3), (20 * index, 20 * index, 10 * index), np.uint8))
    writer.release()
    return path


def test_video_gives_each_frame_in_order_as_rgb(tmp_path: Path) -> None:
    with Video(make_video(tmp_path / "clip.avi")) as video:
        assert (video.size_hw, video.fps, video.frame_count) == ((60, 80), 10.0, 12)
        frames = list(video)
    assert len(frames) == 12
    for index, frame in enumerate(frames):
        assert frame.shape == (60, 80, 3)
        assert np.abs(frame.mean(axis=(0, 1)) - [10 * index, 20 * index, 20 * index]).max() < 6


def test_video_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such file"):
        Video(tmp_path / "gone.mp4")
    with pytest.raises(PictureError, match="is a folder"):
        Video(tmp_path)
    for content in (b"", b"I am no film."):
        (tmp_path / "clip.mp4").write_bytes(content)
        with pytest.raises(PictureError, match=r"clip\.mp4: no video can be read"):
            Video(tmp_path / "clip.mp4")


def test_video_that_is_none_is_told_without_noise(tmp_path: Path) -> None:
    """In a process of its own: ffmpeg reads how loud it may be when it is first used."""
    (tmp_path / "clip.mp4").write_bytes(b"I am no film.")
    code = """
import sys
from tombola.errors import PictureError
from tombola.runtime.pictures.sources import Video
try:
    Video(sys.argv[1])
except PictureError:
    print("refused")
"""
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "clip.mp4")], capture_output=True, text=True, check=True
    )
    assert (child.stdout, child.stderr) == ("refused\n", "")


def test_cut_off_video(tmp_path: Path) -> None:
    data = make_video(tmp_path / "clip.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[:600])
    with pytest.raises(PictureError, match=r"cut\.avi: no video can be read"):
        Video(tmp_path / "cut.avi")


class FakeCapture:
    """A camera of 1000 frames a second; the red of a frame is its number, low byte first two channels."""

    def __init__(self, opens: bool = True, dies_after: int | None = None) -> None:
        self.opens, self.dies_after = opens, dies_after
        self.count = 0
        self.released = threading.Event()

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def set(self, *_: object) -> bool:
        return True

    def read(self) -> tuple[bool, Any]:
        time.sleep(0.001)
        if self.dies_after is not None and self.count >= self.dies_after:
            return False, None
        self.count += 1
        frame_bgr = np.zeros((2, 2, 3), np.uint8)
        frame_bgr[:, :, 2], frame_bgr[:, :, 1] = self.count % 256, self.count // 256
        return True, frame_bgr

    def release(self) -> None:
        self.released.set()


def number(frame_rgb: Any) -> int:
    return int(frame_rgb[0, 0, 0]) + 256 * int(frame_rgb[0, 0, 1])


def use(monkeypatch: pytest.MonkeyPatch, capture: FakeCapture) -> FakeCapture:
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture)
    return capture


def test_newest_frame_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes 50 ms a frame of a 1 ms camera skips frames, and each it gets is fresh."""
    capture = use(monkeypatch, FakeCapture())
    seen, age = [], []
    with Camera(0) as camera:
        for frame in camera:
            age.append(capture.count - number(frame))
            seen.append(number(frame))
            if len(seen) == 6:
                break
            time.sleep(0.05)
    assert seen == sorted(set(seen))
    assert seen[-1] - seen[0] > 20
    assert max(age) < 10
    assert capture.released.wait(2)


def test_closing_ends_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeCapture())
    camera = Camera(0)
    frames = iter(camera)
    next(frames)
    camera.close()
    assert list(frames) == []


def test_camera_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeCapture(dies_after=1))
    monkeypatch.setattr(sources, "CAMERA_TIMEOUT_S", 0.1)
    with Camera(3) as camera, pytest.raises(DisplayError, match="camera 3 sent no picture for"):
        for _ in camera:
            pass


def test_camera_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeCapture(opens=False))
    with pytest.raises(DisplayError, match="camera 2 cannot be opened"):
        Camera(2)


@pytest.mark.skipif(Path("/dev/video99").exists(), reason="there is such a camera")
def test_real_camera_that_is_not_there_is_told_without_noise(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DisplayError, match="camera 99"):
        Camera(99)
    assert capfd.readouterr() == ("", "")
