"""Selective search over many pictures, in several processes; what is done is kept when it is stopped."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.train.data.pictures.pictures import PictureStore, decode_rgb
from tombola.train.regions.proposals_file import read_proposals, write_proposals
from tombola.train.regions.selective_search import selective_search

# The file is written anew as a whole: at most a twentieth of the time goes into that.
KEPT_EVERY_S = 20.0
WRITING_SHARE = 0.05


def propose(
    pictures: PictureStore,
    names: Sequence[str],
    path: Path,
    *,
    workers: int = 1,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, NDArray[np.float32]]:
    """Search the pictures named that `path` does not know yet; it then holds them and what it held before.

    workers: processes of one thread each; with 1 this one does the work. tell: is called with
    how many pictures are done, of how many. Returns boxes_xyxy float32 [n, 4] of
    the pictures named, in their pixels. Raises DataError and PictureError; what was done until then is kept.
    """
    boxes = read_proposals(path) if path.exists() else {}
    missing = [name for name in names if name not in boxes]
    done = len(names) - len(missing)
    kept_at, cost_s = time.monotonic(), 0.0
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _searched(pictures, missing, workers) as found:
            for name, one in found:
                boxes[name] = one
                done += 1
                tell(done, len(names))
                if time.monotonic() - kept_at > max(KEPT_EVERY_S, cost_s / WRITING_SHARE):
                    started = time.monotonic()
                    write_proposals(path, boxes)
                    kept_at = time.monotonic()
                    cost_s = kept_at - started
    finally:
        if missing and boxes:
            write_proposals(path, boxes)
    return {name: boxes[name] for name in names}


@contextmanager
def _searched(
    pictures: PictureStore, names: Sequence[str], workers: int
) -> Iterator[Iterable[tuple[str, NDArray[np.float32]]]]:
    """Names with their proposals, in order. The pictures are decoded as they are asked for."""
    if workers == 1 or len(names) < 2:
        yield ((name, _search(pictures, name)) for name in names)
        return
    # Not forked: torch and OpenCV may have threads by now.
    pool = multiprocessing.get_context("spawn").Pool(min(workers, len(names)), cv2.setNumThreads, (0,))
    with pool:
        yield zip(names, pool.imap(_Search(pictures), names), strict=True)


class _Search:
    """`_search` in a store, as a process can be given it."""

    def __init__(self, pictures: PictureStore) -> None:
        self.pictures = pictures

    def __call__(self, name: str) -> NDArray[np.float32]:
        return _search(self.pictures, name)


def _search(pictures: PictureStore, name: str) -> NDArray[np.float32]:
    return selective_search(decode_rgb(pictures.read_bytes(name), name))
