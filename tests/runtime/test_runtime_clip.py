"""Clips are read alike, whatever they come as: an animated picture, a video, a folder, an array."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.clips.clip import read_clip
from tombola.runtime.clips.folders import clips_in
from tombola.runtime.moving.video_writer import write_video
from tombola.runtime.pictures.shrink import Shrink

Frames = NDArray[np.uint8]


def levels(count: int, size_hw: tuple[int, int] = (24, 32)) -> Frames:
    """Frame i is grey, of 10 · i."""
    return np.repeat(np.arange(count, dtype=np.uint8) * 10, 3 * size_hw[0] * size_hw[1]).reshape(
        count, *size_hw, 3
    )


def write(path: Path, frames: Frames) -> Path:
    animation = cv2.Animation()
    animation.frames = list(frames)
    animation.durations = [40] * len(frames)
    assert cv2.imwriteanimation(str(path), animation)
    return path


def write_folder(path: Path, frames: Frames) -> Path:
    path.mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(path / f"frame-{number}.png"), frame)
    return path


def seen(frames: Frames) -> list[int]:
    """Which frame each is, as far as its format tells."""
    return [round(float(frame.mean()) / 10) for frame in frames]


@pytest.mark.parametrize("suffix", [".webp", ".mp4", ""])
def test_a_clip_in_any_form(suffix: str, tmp_path: Path) -> None:
    frames, path = levels(12), tmp_path / f"clip{suffix}"
    if suffix == ".mp4":
        with write_video(path, 25.0, (24, 32)) as append:
            for frame in frames:
                append(frame)
    elif suffix:
        write(path, frames)
    else:
        write_folder(path, frames)  # frame-2 comes before frame-10
    clip = read_clip(path, 100)
    assert seen(clip.frames_rgb_u8) == list(range(12))
    assert (clip.places.tolist(), clip.count, clip.size_hw) == (list(range(12)), 12, (24, 32))
    assert read_clip(clip, 3) is clip
    few = read_clip(path, 4)
    assert (few.places.tolist(), few.count) == ([1, 4, 7, 10], 12)
    assert seen(few.frames_rgb_u8) == [1, 4, 7, 10]


def test_colours_and_gif(tmp_path: Path) -> None:
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    frames[:, :, :, 0] = 255  # blue for OpenCV, which writes them
    frames[:, :4, 0, 2] = np.array([[0], [120], [250]])  # GIF has no two frames alike in a row
    for name in ("clip.gif", "clip.webp"):
        found = read_clip(write(tmp_path / name, frames), 9).frames_rgb_u8
        assert found.shape == (3, 8, 8, 3)
        assert np.abs(found[:, :, 3:].astype(int) - [0, 0, 255]).max() < 12


def test_a_long_clip_is_thinned_evenly() -> None:
    frames = np.arange(700, dtype=np.uint16).astype(np.uint8).reshape(-1, 1, 1, 1).repeat(3, 3)
    clip = read_clip(frames, 16)
    assert clip.count == 700
    gaps = np.diff(clip.places)
    assert (len(clip.places), gaps.min() >= 40, gaps.max() <= 48) == (16, True, True)
    assert (clip.frames_rgb_u8[:, 0, 0, 0] == (clip.places % 256)).all()


def test_one_frame_and_frames_of_other_sizes(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), levels(3)[2])
    assert read_clip(tmp_path / "one.png", 8).frames_rgb_u8.shape == (1, 24, 32, 3)
    folder = write_folder(tmp_path / "mixed", levels(2))
    cv2.imwrite(str(folder / "frame-2.png"), levels(3, (80, 40))[2])
    clip = read_clip(folder, 8)
    assert (clip.frames_rgb_u8.shape, seen(clip.frames_rgb_u8)) == ((3, 24, 32, 3), [0, 1, 2])
    halved = read_clip(folder, 8, Shrink((12, 12), "both"))
    assert (halved.frames_rgb_u8.shape, halved.size_hw) == ((3, 12, 16, 3), (24, 32))


def test_what_is_no_clip(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no clip")
    whole = write(tmp_path / "a.webp", levels(4)).read_bytes()
    (tmp_path / "cut.webp").write_bytes(whole[:-30])
    for name, message in (
        ("empty", "the folder holds no frames"),
        ("gone.gif", "no such file"),
        ("notes.txt", "not a picture that Tombola reads"),
        ("cut.webp", "cut-off WebP"),
    ):
        with pytest.raises(PictureError, match=rf"{name}: {message}"):
            read_clip(tmp_path / name, 8)
    with pytest.raises(PictureError, match=r"cannot read a clip from \[24, 32, 3\]"):
        read_clip(levels(1)[0], 8)
    with pytest.raises(PictureError, match="holds no frame"):
        read_clip(levels(0), 8)
    with pytest.raises(PictureError, match="raise max_pixels"):
        read_clip(tmp_path / "a.webp", 8, max_pixels=100)


def test_clips_of_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "b.webp", levels(2))
    write(tmp_path / "c.gif", levels(2))
    write_folder(tmp_path / "a", levels(2))
    cv2.imwrite(str(tmp_path / "still.webp"), levels(1)[0])
    (tmp_path / "words").mkdir()
    (tmp_path / ".hidden.gif").write_bytes((tmp_path / "c.gif").read_bytes())
    assert [path.name for path in clips_in(tmp_path)] == ["a", "b.webp", "c.gif"]
