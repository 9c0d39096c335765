"""A camera that never lags, and one that fails."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tombola.errors import DisplayError
from tombola.runtime.moving import camera
from tombola.runtime.moving.camera import Camera


class FakeCapture:
    """A camera of 1000 frames a second; the red of a frame is its number, low byte first two channels."""

    def __init__(
        self,
        opens: bool = True,
        dies_after: int | None = None,
        then: Callable[[], Any] = lambda: (False, None),
    ) -> None:
        self.opens, self.dies_after, self.then = opens, dies_after, then
        self.count = 0
        self.released = threading.Event()

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def set(self, *_: object) -> bool:
        return True

    def read(self) -> Any:
        time.sleep(0.001)
        if self.dies_after is not None and self.count >= self.dies_after:
            return self.then()
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
    with Camera(0) as newest:
        for frame in newest:
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
    opened = Camera(0)
    frames = iter(opened)
    next(frames)
    opened.close()
    assert list(frames) == []


def test_camera_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeCapture(dies_after=1))
    monkeypatch.setattr(camera, "CAMERA_TIMEOUT_S", 0.1)
    with Camera(3) as frames, pytest.raises(DisplayError, match="camera 3 sent no picture for"):
        for _ in frames:
            pass


def fail() -> Any:
    raise cv2.error("unplugged")


@pytest.mark.parametrize(
    ("then", "message"),
    [
        (fail, "camera 0 failed: unplugged"),
        (lambda: (True, None), "sent no picture"),
        (lambda: (True, np.zeros((0, 0, 3), np.uint8)), "sent no picture"),
        (lambda: (True, np.zeros((2, 2, 3), np.float32)), "dtype is float32"),
    ],
)
def test_camera_that_goes_wrong(
    monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any], message: str
) -> None:
    capture = use(monkeypatch, FakeCapture(dies_after=3, then=then))
    monkeypatch.setattr(camera, "CAMERA_TIMEOUT_S", 0.2)
    seen: list[Any] = []
    with Camera(0) as frames, pytest.raises(DisplayError, match=message):
        seen.extend(frames)
    assert seen
    assert capture.released.wait(2)


def test_camera_that_hangs_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = threading.Event()
    use(monkeypatch, FakeCapture(dies_after=1, then=lambda: (hold.wait(30), None)))
    monkeypatch.setattr(camera, "CAMERA_TIMEOUT_S", 0.1)
    started = time.monotonic()
    with Camera(0) as frames, pytest.raises(DisplayError, match="sent no picture"):
        for _ in frames:
            pass
    hold.set()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 4)])
def test_grey_and_transparent_frames_are_taken(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    use(monkeypatch, FakeCapture(dies_after=0, then=lambda: (True, np.full(shape, 9, np.uint8))))
    with Camera(0) as frames:
        assert next(iter(frames)).tolist() == [[[9, 9, 9]] * 2] * 2


def test_camera_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeCapture(opens=False))
    with pytest.raises(DisplayError, match="camera 2 cannot be opened"):
        Camera(2)


@pytest.mark.skipif(Path("/dev/video99").exists(), reason="there is such a camera")
def test_real_camera_that_is_not_there_is_told_without_noise(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DisplayError, match="camera 99"):
        Camera(99)
    assert capfd.readouterr() == ("", "")
