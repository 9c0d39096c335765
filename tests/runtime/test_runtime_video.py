"""Videos with boxes, whole or not there."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.cli.ask.recording import record
from tombola.errors import OutputError, PictureError
from tombola.runtime.pictures.sources import Video
from tombola.runtime.pictures.video import CODECS, annotate_video, write_video
from tombola.runtime.tasks.detect.answer import Detections
from tombola.runtime.tasks.detect.model import Detector


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Nine frames of 120x160, ever brighter: the toy sees its first box from frame 5 on."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for index in range(9):
        writer.write(np.full((120, 160, 3), 10 + 25 * index, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("suffix", CODECS)
def test_each_format_holds_every_frame_at_the_same_rate(
    clip: Path, toy: Detector, suffix: str, tmp_path: Path
) -> None:
    target = tmp_path / "out" / f"drawn{suffix}"
    counts: list[int] = []
    report = annotate_video(
        clip, target, toy, on_frame=lambda _index, _count, found: counts.append(len(found))
    )
    assert (report.path, report.frames) == (target, 9)
    assert counts == [1] * 5 + [2] * 4  # the second box in each frame, the first from brightness 128 on
    assert report.frames_per_second > 0
    with Video(target) as video:
        frames = list(video)
        assert (video.size_hw, video.fps) == ((120, 160), 10.0)
    assert len(frames) == 9
    # The second box's left line, in the colour of class 1 on grey.
    red, _, blue = frames[2][80, 80].astype(int)
    assert blue - red > 60
    assert [entry.name for entry in target.parent.iterdir()] == [target.name]


def test_each_frame_is_told(clip: Path, toy: Detector, tmp_path: Path) -> None:
    told: list[tuple[int, int, int]] = []

    def on_frame(index: int, count: int, found: Detections) -> None:
        told.append((index, count, len(found)))

    def answer(image_rgb_u8: NDArray[np.uint8]) -> Detections:
        return toy(image_rgb_u8, score_threshold=0.9)

    annotate_video(clip, tmp_path / "out.avi", answer, on_frame=on_frame)
    assert told == [(index, 9, 0) for index in range(9)]


def test_source_and_target_may_be_the_same_file(clip: Path, toy: Detector) -> None:
    annotate_video(clip, clip, toy)
    with Video(clip) as video:
        assert len(list(video)) == 9


def test_bad_source_leaves_nothing(toy: Detector, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    with pytest.raises(PictureError, match=r"bad\.mp4"):
        annotate_video(tmp_path / "bad.mp4", tmp_path / "out" / "drawn.mp4", toy)
    assert not (tmp_path / "out").exists()


def test_target_that_cannot_be_written(clip: Path, toy: Detector, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"'\.gif' is not one of"):
        annotate_video(clip, tmp_path / "drawn.gif", toy)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        annotate_video(clip, tmp_path / "file" / "drawn.mp4", toy)


def test_names_that_are_not_utf_8_are_refused(clip: Path, toy: Detector, tmp_path: Path) -> None:
    """OpenCV crashes on them."""
    name = os.fsdecode(b"\xff.mp4")
    with pytest.raises(OutputError, match="valid UTF-8; choose another"):
        annotate_video(clip, tmp_path / name, toy)
    with pytest.raises(OutputError, match="valid UTF-8; choose another"):
        record([], tmp_path / name, toy)
    with pytest.raises(PictureError, match="valid UTF-8; rename it"):
        annotate_video(tmp_path / name, tmp_path / "drawn.mp4", toy)


def test_video_without_a_frame_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frame came"), write_video(tmp_path / "none.mp4", 10, (60, 80)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_encoder_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoWriter:
        fourcc = cv2.VideoWriter.fourcc

        def __init__(self, *_: object) -> None:
            pass

        def isOpened(self) -> bool:  # noqa: N802
            return False

    monkeypatch.setattr(cv2, "VideoWriter", NoWriter)
    with pytest.raises(OutputError, match="no mp4v encoder"), write_video(tmp_path / "a.mp4", 10, (60, 80)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_error_on_the_way_leaves_the_old_file(clip: Path, toy: Detector, tmp_path: Path) -> None:
    target = tmp_path / "out" / "drawn.mp4"
    target.parent.mkdir()
    target.write_text("old")

    def on_frame(index: int, _count: int, _found: Detections) -> None:
        if index == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate_video(clip, target, toy, on_frame=on_frame)
    assert target.read_text() == "old"
    assert [entry.name for entry in target.parent.iterdir()] == ["drawn.mp4"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_disk_that_runs_full(toy_path: Path, tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0)
    large = tmp_path / "large.avi"
    writer = cv2.VideoWriter(str(large), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(9):
        writer.write(noise.integers(0, 256, (120, 160, 3), dtype=np.uint8))
    writer.release()
    target = tmp_path / "out" / f"drawn{suffix}"
    code = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import tombola
from tombola.runtime.pictures.video import annotate_video
detector = tombola.load(sys.argv[1], device="cpu")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    annotate_video(sys.argv[2], sys.argv[3], detector)
except tombola.OutputError as error:
    print(error)
"""
    printed = subprocess.run(
        [sys.executable, "-c", code, str(toy_path), str(large), str(target)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.startswith(f"cannot write {target}: ")
    assert list(target.parent.iterdir()) == []
