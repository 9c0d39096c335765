"""A camera whose reader gets the newest frame and never lags."""

import threading
from collections.abc import Iterator
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import DisplayError, PictureError
from tombola.runtime.pictures.opencv import quiet_opencv
from tombola.runtime.pictures.picture import read_rgb

CAMERA_TIMEOUT_S = 5.0


class Camera:
    """A camera's newest frame: a thread reads without pause, so a slow reader skips frames and never lags.

    Iterating gives `image_rgb_u8` [height, width, 3], each frame at most once, until `close`.
    DisplayError where the camera cannot be opened, fails, sends no pictures of bytes, or sends nothing for
    five seconds.
    """

    def __init__(self, index: int = 0) -> None:
        with quiet_opencv():
            self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            self._capture.release()
            raise DisplayError(
                f"camera {index} cannot be opened: is it plugged in, free, and may this user read it? "
                "`tombola doctor` lists the cameras found."
            )
        self._index = index
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._newest_bgr: Any = None
        self._failure: Exception | None = None
        self._is_open = True
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name=f"camera {index}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading and free the camera; one that hangs is left to itself after a second."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        self._thread.join(1.0)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._newest_bgr is not None or self._failure or not self._is_open,
                    timeout=CAMERA_TIMEOUT_S,
                )
                if not self._is_open:
                    return
                frame_bgr, self._newest_bgr = self._newest_bgr, None
            if frame_bgr is None and self._failure is not None:
                raise DisplayError(f"camera {self._index} failed: {self._failure}.") from self._failure
            if frame_bgr is None:
                raise DisplayError(f"camera {self._index} sent no picture for {CAMERA_TIMEOUT_S:g} s.")
            try:
                yield read_rgb(frame_bgr, bgr=True)
            except PictureError as error:
                raise DisplayError(f"camera {self._index}: {error}") from error

    def _read(self) -> None:
        try:
            while self._is_open:
                ok, frame_bgr = self._capture.read()
                if not ok or frame_bgr is None or frame_bgr.size == 0:  # unplugged, or not yet awake
                    threading.Event().wait(0.01)
                    continue
                with self._changed:
                    self._newest_bgr = frame_bgr
                    self._changed.notify_all()
        except Exception as error:  # told to the one who asks for the next frame
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            self._capture.release()
