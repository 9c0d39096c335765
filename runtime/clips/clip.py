"""A clip's frames, whatever it comes as: an animated picture, a video file, or a folder of frames.

Training and the runtime read here, so that a network meets the same frames on every way.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.clips.container import container
from tombola.runtime.clips.folders import STILL_SUFFIXES, is_still
from tombola.runtime.clips.video import Video
from tombola.runtime.pictures.header import is_animated_webp
from tombola.runtime.pictures.opencv import opencv_can_name
from tombola.runtime.pictures.picture import MAX_PIXELS, PictureSource, check_header, read_picture
from tombola.runtime.pictures.shrink import Shrink

# Frames of an animated WebP that are decoded at a time.
_TOGETHER = 64
# Frames that are held until it is known how many there are; a long video must not fill the memory.
_HELD = 256


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames as a network wants them: upright, of one size, and halved as it asked.

    frames_rgb_u8: uint8 [n, h, w, 3], contiguous, n at least 1. places: int64 [n], which of the clip's
    `count` frames these are, from 0. size_hw: height and width of the first before halvings, in pixels.
    """

    frames_rgb_u8: NDArray[np.uint8]
    places: NDArray[np.int64]
    count: int
    size_hw: tuple[int, int]


ClipSource = str | os.PathLike[str] | NDArray[Any] | Clip


def read_clip(
    source: ClipSource,
    most_frames: int,
    shrink: Shrink | None = None,
    *,
    bgr: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Clip:
    """Return the clip's frames, of more than `most_frames` as many that are evenly spread.

    source: the path of an animated GIF or WebP, of a video, of a picture (a clip of one frame) or of a folder
    of frames, which are taken by name, numbers in names by their value; or an array uint8 [n, h, w, 3].
    A frame of another size is stretched to that of the first. bgr, max_pixels: of arrays and of each frame,
    as in `read_rgb`.

    Raises PictureError naming the source where there is no frame, or one cannot be read.
    """
    if isinstance(source, Clip):
        return source
    if isinstance(source, str | os.PathLike):
        frames: Iterable[PictureSource] = _frames_of(Path(source), max_pixels)
    elif isinstance(source, np.ndarray) and source.ndim == 4:
        frames = source
    else:
        given = list(source.shape) if isinstance(source, np.ndarray) else type(source).__name__
        raise PictureError(
            f"cannot read a clip from {given}; pass a path, or an array uint8 [n, height, width, 3]."
        )
    kept: list[tuple[int, NDArray[np.uint8]]] = []
    count, step, size_hw = 0, 1, (0, 0)
    for frame in frames:
        if count % step == 0:
            picture = read_picture(frame, shrink, bgr=bgr, max_pixels=max_pixels)
            image_rgb_u8 = picture.image_rgb_u8
            if not kept:
                size_hw = picture.size_hw
            elif image_rgb_u8.shape != kept[0][1].shape:
                height, width = kept[0][1].shape[:2]
                image_rgb_u8 = np.asarray(cv2.resize(image_rgb_u8, (width, height)), np.uint8)
            kept.append((count, image_rgb_u8))
        count += 1
        if len(kept) > max(_HELD, 2 * most_frames):
            kept, step = kept[::2], 2 * step
    if not kept:
        name = source if isinstance(source, str | os.PathLike) else "the clip"
        raise PictureError(f"{name}: holds no frame.")
    chosen = [kept[place] for place in spread(len(kept), min(len(kept), most_frames))]
    return Clip(
        np.stack([image for _, image in chosen]),
        np.array([number for number, _ in chosen], np.int64),
        count,
        size_hw,
    )


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` of the places 0 … count - 1, evenly spread, each in the middle of its part; where there are
    fewer, some come more than once."""
    return [(2 * one + 1) * count // (2 * wanted) for one in range(wanted)]


def _frames_of(path: Path, max_pixels: int) -> Iterator[PictureSource]:
    try:
        if path.is_dir():
            files = [entry for entry in path.iterdir() if is_still(entry) and not entry.name.startswith(".")]
            if not files:
                raise PictureError(
                    f"{path}: the folder holds no frames ({' '.join(sorted(STILL_SUFFIXES))})."
                )
            yield from sorted(files, key=_by_number)
            return
        if not path.is_file():
            raise PictureError(f"{path}: {'is not a file' if path.exists() else 'no such file'}.")
        is_video = container(path) is not None
        with path.open("rb") as file:
            is_webp = is_animated_webp(file.read(64))
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})."
        ) from error
    if is_video:
        with Video(path, max_pixels=max_pixels) as video:
            yield from video
    elif is_webp:
        yield from _webp_frames(path, max_pixels)
    else:
        yield path


def _by_number(path: Path) -> list[tuple[int, str]]:
    """frame-2 before frame-10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", path.name)]


def _webp_frames(path: Path, max_pixels: int) -> Iterator[NDArray[np.uint8]]:
    if not check_header(path.read_bytes(), str(path), max_pixels).is_whole:
        raise PictureError(f"{path}: cut-off WebP: its end is missing; copy or save it again.")
    if not opencv_can_name(path):
        raise PictureError(f"{path}: OpenCV opens only names that are valid UTF-8; rename it.")
    start = 0
    while True:
        try:
            done, animation = cv2.imreadanimation(str(path.absolute()), start=start, count=_TOGETHER)
        except cv2.error as error:
            raise PictureError(f"{path}: OpenCV cannot decode this WebP ({error.err}).") from error
        if not done:
            if start == 0:
                raise PictureError(f"{path}: damaged WebP: it cannot be decoded.")
            return
        for frame in animation.frames:
            yield np.asarray(
                cv2.cvtColor(frame, cv2.COLOR_BGRA2RGB if frame.shape[2] == 4 else cv2.COLOR_BGR2RGB)
            )
        start += len(animation.frames)
        if len(animation.frames) < _TOGETHER:
            return
