"""The window's loop, with OpenCV's windows replaced; and what is said where there is no display."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.errors import DisplayError
from tombola.runtime.moving import window
from tombola.runtime.pictures.picture import read_rgb
from tombola.runtime.tasks.detect.model import Detector

posix_only = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="windows there need no DISPLAY")


class FakeScreen:
    """Remembers what was shown and presses the keys it is given, one a frame."""

    def __init__(self, keys: str = "", closed_after: int | None = None) -> None:
        self.keys, self.closed_after = keys, closed_after
        self.shown: list[NDArray[np.uint8]] = []
        self.is_open = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "FakeScreen":
        monkeypatch.setattr(window, "check_display", lambda: None)
        for name in ("namedWindow", "destroyWindow", "imshow", "waitKey", "getWindowProperty"):
            monkeypatch.setattr(cv2, name, getattr(self, name))
        monkeypatch.setattr(cv2, "resizeWindow", lambda *_: None)
        return self

    def namedWindow(self, *_: object) -> None:  # noqa: N802
        self.is_open = True

    def destroyWindow(self, *_: object) -> None:  # noqa: N802
        self.is_open = False

    def imshow(self, _title: str, image_bgr: Any) -> None:
        self.shown.append(image_bgr)

    def waitKey(self, _delay_ms: int) -> int:  # noqa: N802
        index = len(self.shown) - 1
        return ord(self.keys[index]) if index < len(self.keys) else -1

    def getWindowProperty(self, *_: object) -> float:  # noqa: N802
        return 0.0 if self.closed_after is not None and len(self.shown) >= self.closed_after else 1.0


def frames(count: int) -> Iterator[NDArray[np.uint8]]:
    for _ in range(count):
        yield np.full((240, 320, 3), (200, 100, 50), np.uint8)


def test_frames_are_shown_in_their_colours_with_boxes(monkeypatch: pytest.MonkeyPatch, toy: Detector) -> None:
    screen = FakeScreen().install(monkeypatch)
    assert window.show(frames(3), toy) == 3
    assert len(screen.shown) == 3
    assert not screen.is_open
    assert tuple(screen.shown[0][100, 150]) == (50, 100, 200)  # OpenCV shows BGR
    assert tuple(screen.shown[0][239, 0]) == (0, 0, 0)  # the caption's ground
    assert (screen.shown[0] != (50, 100, 200)).any(axis=2).sum() > 500


@pytest.mark.parametrize(("keys", "shown"), [("  q", 3), ("\x1b", 1), ("x" * 9, 5)])
def test_q_and_escape_quit(monkeypatch: pytest.MonkeyPatch, toy: Detector, keys: str, shown: int) -> None:
    screen = FakeScreen(keys).install(monkeypatch)
    assert window.show(frames(5), toy) == shown
    assert not screen.is_open


def test_closing_the_window_quits(monkeypatch: pytest.MonkeyPatch, toy: Detector) -> None:
    FakeScreen(closed_after=2).install(monkeypatch)
    assert window.show(frames(5), toy) == 2


def test_s_saves_the_drawn_picture_without_the_caption(
    monkeypatch: pytest.MonkeyPatch, toy: Detector, tmp_path: Path
) -> None:
    FakeScreen("sxs").install(monkeypatch)
    window.show(frames(3), toy, save_to=tmp_path / "saved")
    saved = sorted((tmp_path / "saved").iterdir())
    assert len(saved) == 2
    image = next(frames(1))
    np.testing.assert_array_equal(read_rgb(saved[0]), toy(image).draw(image))


def test_any_function_of_a_frame_may_answer(monkeypatch: pytest.MonkeyPatch, toy: Detector) -> None:
    screen = FakeScreen().install(monkeypatch)
    window.show(frames(1), lambda image_rgb_u8: toy(image_rgb_u8, score_threshold=0.95))
    assert tuple(screen.shown[0][0, 0]) == (50, 100, 200)


def test_window_is_closed_when_the_camera_fails(monkeypatch: pytest.MonkeyPatch, toy: Detector) -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield from frames(1)
        raise DisplayError("unplugged")

    screen = FakeScreen().install(monkeypatch)
    with pytest.raises(DisplayError, match="unplugged"):
        window.show(broken(), toy)
    assert not screen.is_open


def test_opencv_without_windows(monkeypatch: pytest.MonkeyPatch, toy: Detector) -> None:
    def no_window(*_: object) -> None:
        raise cv2.error("The function is not implemented.")

    FakeScreen().install(monkeypatch)
    monkeypatch.setattr(cv2, "namedWindow", no_window)
    with pytest.raises(DisplayError, match="opencv-python-headless"):
        window.show(frames(1), toy)


@posix_only
def test_no_display_is_told_before_qt_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, toy: Detector
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(DisplayError, match=r"DISPLAY is not set.*--save"):
        window.show(frames(1), toy)


@posix_only
@pytest.mark.parametrize("display", [":98765", "nonsense", ":x", "localhost:59000", "localhost:1.0"])
def test_display_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, display: str) -> None:
    monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(DisplayError, match="does not answer"):
        window.check_display()


@posix_only
def test_display_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{server.getsockname()[1] - 6000}.0")
        if server.getsockname()[1] < 6000:
            pytest.skip("the system gave a port that no display has")
        window.check_display()
