"""A camera in a window: its pictures with the answers drawn, and frames a second."""

import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import DisplayError
from tombola.runtime.model import Answer
from tombola.runtime.pictures.lettering import draw_caption
from tombola.runtime.pictures.output import save_picture

TITLE = "Tombola - s saves, q quits"
RATE_FRAMES = 30


def check_display() -> None:
    """DisplayError unless a window can be shown. Ask first: Qt ends the whole process where it cannot."""
    if sys.platform in ("win32", "darwin"):
        return
    display = os.environ.get("DISPLAY", "")
    cure = "run it on a desktop, or save the result to a file with --save."
    if not display:
        raise DisplayError(f"there is no display (DISPLAY is not set): {cure}")
    if not _answers(display):
        raise DisplayError(f"the display {display!r} (DISPLAY) does not answer: {cure}")


def show(
    frames: Iterable[NDArray[np.uint8]],
    answer: Callable[[NDArray[np.uint8]], Answer],
    *,
    save_to: Path = Path(),
) -> int:
    """Show each frame with its answer until the frames end, q or Escape is pressed, or the window is closed.

    frames: `image_rgb_u8` [height, width, 3], from a Camera or a Video.
    answer: a loaded model, or a function of a frame that asks one.
    s saves the picture to the folder `save_to` under the time of day. Returns how many frames were shown.
    DisplayError without a display.
    """
    check_display()
    shown = 0
    times: deque[float] = deque(maxlen=RATE_FRAMES)
    # OpenCV's wheel has no fonts for the buttons we do not use, and Qt would say so again and again.
    os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
    try:
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    except cv2.error as error:
        raise DisplayError(
            "this OpenCV was built without windows (opencv-python-headless); "
            "`tombola doctor` tells how to repair it."
        ) from error
    try:
        for image_rgb_u8 in frames:
            drawn_rgb_u8 = answer(image_rgb_u8).draw(image_rgb_u8)
            times.append(perf_counter())
            if shown == 0:
                cv2.resizeWindow(TITLE, image_rgb_u8.shape[1], image_rgb_u8.shape[0])
            shown_rgb_u8 = draw_caption(drawn_rgb_u8, f"{_rate(times):.1f} FPS")
            cv2.imshow(TITLE, cv2.cvtColor(shown_rgb_u8, cv2.COLOR_RGB2BGR))
            shown += 1
            key = cv2.waitKey(1) & 0xFF
            if key == ord("s"):
                save_picture(drawn_rgb_u8, save_to / f"tombola-{datetime.now():%Y%m%d-%H%M%S-%f}.png")
            if key in (ord("q"), 27) or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
                break
    finally:
        cv2.destroyWindow(TITLE)
    return shown


def _rate(times: deque[float]) -> float:
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


def _answers(display: str) -> bool:
    """Whether an X server listens where DISPLAY (host:number.screen) says."""
    host, _, rest = display.rpartition(":")
    number = rest.partition(".")[0]
    if not number.isdigit():
        return False
    try:
        if host in ("", "unix") or host.startswith("/"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(1.0)
                probe.connect(f"/tmp/.X11-unix/X{number}")
        else:
            socket.create_connection((host, 6000 + int(number)), timeout=1.0).close()
    except OSError:
        return False
    return True
