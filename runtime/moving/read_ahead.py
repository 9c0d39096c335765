"""Pictures read on a thread of their own, each while the one before it is looked at."""

import sys
from collections.abc import Iterable
from threading import Thread

from tombola.errors import PictureError
from tombola.runtime.clips.container import container_of
from tombola.runtime.moving.sources import Source
from tombola.runtime.pictures.picture import Picture, read_picture
from tombola.runtime.pictures.shrink import Shrink

MOST_BYTES = 1 << 30  # of a picture on stdin


class ReadAhead:
    """Reads the pictures `sources` in order, one ahead of what was taken; starts at once with the first.

    shrink: how they are halved; None keeps them whole.
    """

    def __init__(self, sources: Iterable[Source], max_pixels: int, shrink: Shrink | None = None) -> None:
        self._sources = iter(sources)
        self._max_pixels = max_pixels
        self._shrink = shrink
        self._coming = self._start()

    def take(self) -> Picture:
        """The next picture; PictureError if it cannot be read."""
        reading, self._coming = self._coming, self._start()
        if reading is None:
            raise IndexError("every picture has been taken")
        return reading.result()

    def _start(self) -> "_Reading | None":
        source = next(self._sources, None)
        return None if source is None else _Reading(source, self._max_pixels, self._shrink)


class _Reading(Thread):
    def __init__(self, source: Source, max_pixels: int, shrink: Shrink | None) -> None:
        super().__init__(name=f"read {source.path}", daemon=True)
        self._source, self._max_pixels, self._shrink = source, max_pixels, shrink
        self._picture: Picture | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            if self._source.kind == "stdin":
                self._picture = _read_stdin(self._max_pixels, self._shrink)
            else:
                path = self._source.path
                self._picture = read_picture(path, self._shrink, max_pixels=self._max_pixels)
        except MemoryError:
            self._error = PictureError(f"{self._source.path}: is larger than the memory that is free.")
        except OSError as error:
            self._error = PictureError(f"{self._source.path}: cannot be read ({error.strerror or error}).")
        except BaseException as error:  # raised again where the picture is asked for
            self._error = error

    def result(self) -> Picture:
        self.join()
        if self._picture is None:
            assert self._error is not None
            raise self._error
        return self._picture


def _read_stdin(max_pixels: int, shrink: Shrink | None) -> Picture:
    if sys.stdin is None:
        raise PictureError("-: stdin is closed; send a picture in: detect - < photo.jpg")
    if sys.stdin.isatty():
        raise PictureError("-: stdin is a terminal; send a picture in: detect - < photo.jpg")
    # Not through the buffer: an interrupted process would crash at its end for the lock that we hold.
    stdin = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    data = bytearray()
    while part := stdin.read(1 << 20):
        data += part
        if len(data) > MOST_BYTES:
            raise PictureError(f"-: stdin brought more than {MOST_BYTES >> 20} MiB, which is no picture.")
    if container_of(bytes(data[:1024])) is not None:
        raise PictureError("-: stdin brought a video; save it to a file and name that.")
    try:
        return read_picture(data, shrink, max_pixels=max_pixels)
    except PictureError as error:
        raise PictureError(f"-: {error}") from error
