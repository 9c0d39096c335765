"""Display, video codecs and cameras: what `tombola webcam` and video files need."""

import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tombola.cli.doctor.checks import Check
from tombola.cli.doctor.packages import replace_command
from tombola.errors import DisplayError

CAMERAS_TRIED = 4
CODECS = (("mp4v", ".mp4"), ("MJPG", ".avi"))


def check_display(build: str, ask: Callable[[], None], opencv: str) -> Check:
    """Whether a window can be shown.

    build:  `cv2.getBuildInformation()`, whose GUI line says NONE in the headless distributions.
    ask:    raises DisplayError where there is no display.
    opencv: the distribution that is installed.
    """
    gui = re.search(r"^\s*GUI:\s*(\S+)", build, re.MULTILINE)
    toolkit = gui.group(1) if gui else "NONE"
    if toolkit == "NONE":
        return Check(
            "display",
            "absent",
            "this OpenCV was built without windows",
            replace_command(opencv, "opencv-python") + "  # for `tombola webcam`",
        )
    try:
        ask()
    except DisplayError as error:
        return Check("display", "absent", str(error))
    return Check("display", "ok", f"windows by {toolkit}")


def check_codecs(
    writes: Callable[[str, str], bool], opencv: str, codecs: Sequence[tuple[str, str]] = CODECS
) -> Check:
    """Which video codecs work; `writes(codec, suffix)` tries one. None at all is broken.

    opencv: the distribution that is installed.
    """
    working = [f"{codec} ({suffix})" for codec, suffix in codecs if writes(codec, suffix)]
    if working:
        return Check("video", "ok", ", ".join(working))
    return Check(
        "video",
        "broken",
        "no codec writes a clip that can be read again",
        f"pip install --force-reinstall --no-deps {opencv}",
    )


def check_cameras(opens: Callable[[int], str | None], count: int = CAMERAS_TRIED) -> Check:
    """Which cameras open; `opens(index)` returns what it gives ("640x480") or None."""
    working = [f"camera {index}: {size}" for index in range(count) if (size := opens(index))]
    if working:
        return Check("cameras", "ok", ", ".join(working))
    return Check("cameras", "absent", f"none of 0 to {count - 1} opens")


def writes_clip(codec: str, suffix: str) -> bool:
    """Whether OpenCV writes a small clip with `codec` and reads it again."""
    import cv2
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / f"clip{suffix}")
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*codec), 10.0, (64, 48))
        if not writer.isOpened():
            return False
        for _ in range(3):
            writer.write(np.zeros((48, 64, 3), np.uint8))
        writer.release()
        reader = cv2.VideoCapture(path)
        readable = bool(reader.read()[0])
        reader.release()
        return readable


def camera_size(index: int) -> str | None:
    """Width x height of camera `index`, None if it does not open or gives no picture."""
    import cv2

    if sys.platform.startswith("linux") and not Path(f"/dev/video{index}").exists():
        return None
    camera = cv2.VideoCapture(index)
    try:
        found, frame_bgr_u8 = camera.read() if camera.isOpened() else (False, None)
        return _size(frame_bgr_u8) if found else None
    finally:
        camera.release()


def _size(frame_bgr_u8: Any) -> str:
    height, width = frame_bgr_u8.shape[:2]
    return f"{width}x{height}"
