"""Videos read, and written with boxes: whole or not there."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.errors import OutputError, PictureError
from tombola.runtime.clips.video import Video
from tombola.runtime.moving.recording import record
from tombola.runtime.moving.video import annotate_video
from tombola.runtime.moving.video_writer import CODECS, write_video
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
from tombola.runtime.moving.video import Video
try:
    Video(sys.argv[1])
except PictureError:
    print("refused")
"""
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "clip.mp4")], capture_output=True, text=True, check=True
    )
    assert (child.stdout, child.stderr) == ("refused\n", "")


def spoilt(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


# Codecs that every OpenCV can write into these containers.
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".avi", "MJPG"),
        (".mkv", "mp4v"),
        (".flv", "FLV1"),
        (".wmv", "mp4v"),
        (".ts", "mp4v"),
        (".m2ts", "mp4v"),
        (".3gp", "mp4v"),
        (".mpg", "mpg1"),
    ],
)
def test_video_that_is_whole_and_video_that_is_cut_off(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"clip{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (30, 96, 128, 3), np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), 25, (128, 96))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {suffix}")
    for frame_bgr in noise:
        writer.write(frame_bgr)
    writer.release()
    with Video(path) as video:
        assert len(list(video)) == 30
    if suffix in (".3gp", ".mpg"):  # the one is useless without its end, the other does not tell its length
        return
    spoilt(path, lambda data: data[: len(data) // 2 | 1])
    frames: list[object] = []
    with (
        Video(path) as video,
        pytest.raises(PictureError, match=r"cut off after (\d+ of 30 frames|frame \d+)"),
    ):
        frames.extend(video)
    assert 1 < len(frames) < 25


def moved_to_the_front(mp4: bytes) -> bytes:
    """An MP4 with its index before its frames, as for the web; the index's places moved along."""
    assert mp4[4:8] == b"ftyp"
    boxes = []
    while mp4:
        length = int.from_bytes(mp4[:4], "big")
        boxes.append(mp4[:length])
        mp4 = mp4[length:]
    index = next(box for box in boxes if box[4:8] == b"moov")
    at = index.index(b"stco") + 12
    count = int.from_bytes(index[at - 4 : at], "big")
    places = np.frombuffer(index, ">u4", count, at) + len(index)
    index = index[:at] + places.astype(">u4").tobytes() + index[at + 4 * count :]
    return b"".join([boxes[0], index, *(box for box in boxes[1:] if box[4:8] != b"moov")])


def test_cut_off_mp4(tmp_path: Path, toy: Detector) -> None:
    with write_video(tmp_path / "clip.mp4", 10, (96, 128)) as write:
        for image in np.random.default_rng(0).integers(0, 256, (20, 96, 128, 3), np.uint8):
            write(image)
    path = spoilt(tmp_path / "clip.mp4", moved_to_the_front)
    with Video(path) as video:
        assert len(list(video)) == 20
    spoilt(path, lambda data: data[: len(data) * 6 // 10])
    with pytest.raises(PictureError, match=r"clip\.mp4: cut off after \d+ of 20 frames") as caught:
        annotate_video(path, tmp_path / "drawn.avi", toy)
    with Video(tmp_path / "drawn.avi") as video:  # what could be read is kept
        assert f"after {len(list(video))} of" in str(caught.value)


def test_frames_that_an_edit_leaves_out_are_not_missing(tmp_path: Path) -> None:
    """A phone that trims a clip keeps all frames in the file and says which to show."""
    with write_video(tmp_path / "clip.mp4", 10, (96, 128)) as write:
        for shade in range(20):
            write(np.full((96, 128, 3), 10 * shade, np.uint8))

    def halved(data: bytes) -> bytes:
        at = data.index(b"elst") + 12
        half = int.from_bytes(data[at : at + 4], "big") // 2
        return data[:at] + half.to_bytes(4, "big") + data[at + 4 :]

    with Video(spoilt(tmp_path / "clip.mp4", halved)) as video:
        assert 9 <= len(list(video)) <= 11


def test_cut_off_gif(tmp_path: Path) -> None:
    # One pixel, two frames: header, global table of two colours, then an image each.
    image = b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    gif = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + b"!\xf9\4\0\x0a\0\0\0" + image + image
    (tmp_path / "a.gif").write_bytes(gif + b";")
    with Video(tmp_path / "a.gif") as video:
        assert [frame.shape for frame in video] == [(1, 1, 3)] * 2
    (tmp_path / "a.gif").write_bytes(gif)
    with Video(tmp_path / "a.gif") as video, pytest.raises(PictureError, match="cut off after frame 2"):
        list(video)


@pytest.mark.parametrize(
    "content", ["ffconcat version 1.0\nfile other.avi\n", "#EXTM3U\n#EXTINF:1,\nother.avi\n", "v=0\no=- 0\n"]
)
@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".avi"])
def test_a_list_of_other_files_is_no_video(tmp_path: Path, content: str, suffix: str) -> None:
    make_video(tmp_path / "other.avi")
    (tmp_path / f"list{suffix}").write_text(content)
    with pytest.raises(PictureError, match="no video can be read"):
        Video(tmp_path / f"list{suffix}")


def test_a_name_that_ffmpeg_would_take_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "a.avi", frames=3)
    (tmp_path / "a.avi").rename(tmp_path / "concat:a%02d.avi")
    monkeypatch.chdir(tmp_path)
    with Video("concat:a%02d.avi") as video:
        assert len(list(video)) == 3


def test_the_limit_of_pixels_holds_for_videos(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.avi")
    with pytest.raises(PictureError, match=r"80x60 is 4,800 pixels a frame.*--max-pixels"):
        Video(path, max_pixels=4799)
    with Video(path, max_pixels=4800) as video:
        assert len(list(video)) == 12


def test_frames_of_another_size_are_fitted(tmp_path: Path) -> None:
    with write_video(tmp_path / "clip.avi", 10, (60, 80)) as write:
        write(np.zeros((60, 80, 3), np.uint8))
        write(np.full((30, 20, 3), 200, np.uint8))
    with Video(tmp_path / "clip.avi") as video:
        first, second = list(video)
    assert first.mean() < 5
    assert abs(second.mean() - 200) < 5


def test_cut_off_video(tmp_path: Path) -> None:
    data = make_video(tmp_path / "clip.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[:600])
    with pytest.raises(PictureError, match=r"cut\.avi: no video can be read"):
        Video(tmp_path / "cut.avi")


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
from tombola.runtime.moving.video import annotate_video
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
