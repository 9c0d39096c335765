"""`tombola detect` on videos and `tombola webcam`, with a clip and a camera made for the test."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import Result

from tests.toy_captioner import toy_captioner
from tombola.errors import DisplayError
from tombola.runtime.tasks.detect.answer import Detections

Tombola = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("place")

WITH_MODEL = ("--model", "model.onnx", "--device", "cpu")


def clip(path: str, frames: int = 6) -> None:
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for shade in range(frames):
        writer.write(np.full((48, 64, 3), shade % 256, np.uint8))
    writer.release()


def frames_of(path: Path) -> int:
    reader = cv2.VideoCapture(str(path))
    count = 0
    while reader.read()[0]:
        count += 1
    reader.release()
    return count


def test_a_video_is_summed_up(tombola: Tombola) -> None:
    clip("clip.avi")
    result = tombola("detect", "clip.avi", *WITH_MODEL)
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.sub(r"[\d.]+ frames/s", "T frames/s", result.stdout) == (
        "clip.avi  64×48  6 frames  T frames/s on cpu\n"
        "  name  frames  most at once  best score\n"
        "  cat        6             1        0.90\n"
        "  dog        6             1        0.60\n"
    )


def test_a_line_of_json_for_each_frame(tombola: Tombola) -> None:
    clip("clip.avi")
    lines = [
        json.loads(line) for line in tombola("detect", "clip.avi", *WITH_MODEL, "--json").stdout.splitlines()
    ]
    assert [line["frame"] for line in lines] == list(range(6))
    assert {(line["source"], *line["size_hw"], len(line["detections"])) for line in lines} == {
        ("clip.avi", 48, 64, 2)
    }


def test_the_annotated_video_has_every_frame(tombola: Tombola) -> None:
    clip("clip.avi")
    result = tombola("detect", "clip.avi", "photo.jpg", *WITH_MODEL, "--save", "out")
    assert result.exit_code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["clip.avi", "photo.jpg"]
    assert frames_of(Path("out/clip.avi")) == 6


def test_a_video_that_is_none(tombola: Tombola) -> None:
    Path("clip.mp4").write_bytes(b"not a video")
    result = tombola("detect", "clip.mp4", "photo.jpg", *WITH_MODEL, "--save", "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: clip.mp4: ")
    assert [path.name for path in Path("out").iterdir()] == ["photo.jpg"]


def test_a_video_that_is_cut_off_is_told_as_far_as_it_goes(tombola: Tombola) -> None:
    clip("clip.avi", frames=30)
    whole = Path("clip.avi").read_bytes()
    Path("clip.avi").write_bytes(whole[: len(whole) * 6 // 10])
    result = tombola("detect", "clip.avi", "photo.jpg", *WITH_MODEL, "--save", "out")
    assert result.exit_code == 1
    shown = re.match(r"clip\.avi  64×48  (\d+) frames  ", result.stdout)
    assert shown
    frames = int(shown[1])
    assert 3 < frames < 27
    assert result.stderr.startswith(f"error: clip.avi: cut off after {frames} of 30 frames")
    assert result.stdout.endswith("1 done, 1 failed\n")
    assert frames_of(Path("out/clip.avi")) == frames
    result = tombola("detect", "clip.avi", *WITH_MODEL, "--json")
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, frames)


def test_the_limit_of_pixels_holds_for_videos(tombola: Tombola) -> None:
    clip("clip.avi")
    result = tombola("detect", "clip.avi", *WITH_MODEL, "--max-pixels", "3071")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "64x48" in result.stderr
    assert tombola("detect", "clip.avi", *WITH_MODEL, "--max-pixels", "3072").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_in_a_video_leaves_nothing_half_written(number: signal.Signals) -> None:
    clip("clip.avi", frames=20_000)
    running = subprocess.Popen(
        [str(Path(sys.executable).with_name("detect")), "clip.avi", "-m", "model.onnx", "--save", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job has it ignored, and hands that on.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 30
    while not any(Path("out").glob("*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=30)
    assert (running.returncode, stdout, stderr) == (130, "", "")
    assert list(Path("out").iterdir()) == []


class FakeCamera:
    """A camera that sends grey pictures until it is closed, or is unplugged after `count`."""

    def __init__(self, index: int = 0, *, count: int = 10_000) -> None:
        if index > 0:
            raise DisplayError(f"camera {index} cannot be opened")
        self.count = count

    def __enter__(self) -> "FakeCamera":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self.count):
            yield np.full((48, 64, 3), 99, np.uint8)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.runtime.moving.camera.Camera", FakeCamera)


@pytest.mark.usefixtures("camera")
def test_webcam_without_a_display_offers_save(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    result = tombola("webcam", *WITH_MODEL)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: there is no display")
    assert "--save" in result.stderr


@pytest.mark.parametrize(("step_s", "seen", "written"), [(1 / 8, 4, 8), (1 / 64, 32, 10)])
def test_webcam_records_in_real_time(
    tombola: Tombola, monkeypatch: pytest.MonkeyPatch, step_s: float, seen: int, written: int
) -> None:
    """Half a second at 20 frames a second: a slow model repeats frames, a fast one leaves some out."""
    clock = [0.0]

    class SteadyCamera(FakeCamera):
        def __iter__(self) -> Iterator[Any]:
            for frame in super().__iter__():
                yield frame
                clock[0] += step_s

    monkeypatch.setattr("tombola.runtime.moving.camera.Camera", SteadyCamera)
    monkeypatch.setattr("tombola.runtime.moving.recording.perf_counter", lambda: clock[0])
    result = tombola("webcam", *WITH_MODEL, "--save", "seen.avi", "--seconds", "0.5")
    assert (result.exit_code, result.stdout) == (
        0,
        f"seen.avi: {written / 20:.1f} s, {seen} frames seen on cpu\n",
    )
    assert frames_of(Path("seen.avi")) == written


def test_a_captioner_does_not_keep_the_picture_waiting(
    tombola: Tombola, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("toy.onnx").write_bytes(toy_captioner())
    monkeypatch.setattr("tombola.runtime.moving.camera.Camera", FakeCamera)
    result = tombola("webcam", "-m", "toy.onnx", "--save", "seen.avi", "--seconds", "0.2")
    assert result.exit_code == 0, result.output
    assert "frames seen on cpu" in result.stdout


def test_ctrl_c_ends_a_recording_and_keeps_it(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(FakeCamera):
        def __iter__(self) -> Iterator[Any]:
            yield next(super().__iter__())
            raise KeyboardInterrupt

    monkeypatch.setattr("tombola.runtime.moving.camera.Camera", Interrupted)
    result = tombola("webcam", *WITH_MODEL, "--save", "seen.avi")
    assert (result.exit_code, result.stdout) == (0, "seen.avi: 0.1 s, 1 frame seen on cpu\n")
    assert frames_of(Path("seen.avi")) == 1


class Unplugged(FakeCamera):
    """Sends three pictures and fails."""

    def __iter__(self) -> Iterator[Any]:
        for _ in range(3):
            yield np.full((48, 64, 3), 99, np.uint8)
        raise DisplayError("camera 0 sent no picture for 5 s.")


class Growing(FakeCamera):
    """Sends a larger picture after three."""

    def __iter__(self) -> Iterator[Any]:
        for _ in range(3):
            yield np.full((48, 64, 3), 99, np.uint8)
        yield np.full((96, 128, 3), 99, np.uint8)


class Terminated(FakeCamera):
    """Is stopped after three pictures, by two signals at once."""

    def __iter__(self) -> Iterator[Any]:
        for _ in range(3):
            yield np.full((48, 64, 3), 99, np.uint8)
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(Unplugged, "sent no picture"), (Growing, "changed from 64x48 to 128x96"), (Terminated, "")],
)
@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_what_was_recorded_is_kept(
    tombola: Tombola, monkeypatch: pytest.MonkeyPatch, kind: type[FakeCamera], fault: str, suffix: str
) -> None:
    from tombola.runtime.clips.video import Video

    clock = [0.0]

    def tick() -> float:
        clock[0] += 0.05
        return clock[0]

    monkeypatch.setattr("tombola.runtime.moving.camera.Camera", kind)
    monkeypatch.setattr("tombola.runtime.moving.recording.perf_counter", tick)
    result = tombola("webcam", *WITH_MODEL, "--save", f"seen{suffix}")
    with Video(f"seen{suffix}") as video:
        frames = len(list(video))
        assert video.frame_count == frames >= 3
    assert result.exit_code == (1 if fault else 0)
    assert fault in result.stderr
    length = f"{frames / 20:.1f} s"
    assert (f"seen{suffix} keeps the {length}" if fault else f"seen{suffix}: {length}") in result.output


def test_a_recording_without_a_frame_is_an_error(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.runtime.moving.camera.Camera", lambda index: FakeCamera(index, count=0))
    result = tombola("webcam", *WITH_MODEL, "--save", "seen.avi")
    assert result.exit_code == 1
    assert result.stderr == "error: cannot write seen.avi: no frame came.\n"
    assert not Path("seen.avi").exists()


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--save", "seen.gif"], "error: cannot write seen.gif: '.gif' is not one of"),
        (["--save", "photo.jpg/seen.avi"], "error: cannot write"),
        (["--save", "seen.avi", "--camera", "3"], "error: camera 3 cannot be opened"),
    ],
)
def test_webcam_says_what_it_cannot_do(tombola: Tombola, options: list[str], message: str) -> None:
    result = tombola("webcam", *WITH_MODEL, *options)
    assert result.exit_code == 1
    assert result.stderr.startswith(message)


@pytest.mark.usefixtures("camera")
def test_webcam_shows_a_window(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def show(frames: Iterator[Any], answer: Callable[[Any], Detections]) -> int:
        told.update(names=answer(next(frames)).names)
        return 7

    monkeypatch.setattr("tombola.runtime.moving.window.check_display", lambda: None)
    monkeypatch.setattr("tombola.runtime.moving.window.show", show)
    result = tombola("webcam", *WITH_MODEL, "--score", "0.7", "--seconds", "0.1")
    assert (result.exit_code, result.stdout) == (0, "7 frames shown on cpu\n")
    assert told == {"names": ("cat",)}


def test_a_terminal_gets_a_hint_and_progress(tmp_path: Path) -> None:
    import pty

    clip("clip.avi")
    main, terminal = pty.openpty()
    command = [
        str(Path(sys.executable).with_name("tombola")),
        "detect",
        "clip.avi",
        "photo.jpg",
        "-m",
        "model.onnx",
    ]
    subprocess.run(command, stdout=terminal, stderr=terminal, cwd=tmp_path, timeout=60, check=True)
    os.close(terminal)
    shown = os.read(main, 65536).decode()
    os.close(main)
    assert "clip.avi: frame 6" in shown
    assert shown.endswith("To see the boxes, write annotated copies: add --save out\r\n")
