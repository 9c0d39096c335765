"""A way through latent space as a moving picture."""

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import OutputError
from tombola.runtime.moving.video_writer import CODECS, check_video_target, write_video
from tombola.runtime.pictures.output import save_bytes
from tombola.runtime.tasks.generate.latents import slerp

FRAMES_PER_SECOND = 25
MOST_GIF_PIXELS = 100_000_000  # of all its frames
SHOWN_SIDE_PX = 224  # small pictures are enlarged, a pixel a square


def round_trip(latents: NDArray[np.float32], between: int) -> NDArray[np.float32]:
    """float32 [n · between, d]: from each of latents [n, d] to the next, and from the last to the first."""
    pairs = zip(latents, np.roll(latents, -1, axis=0), strict=True)
    return np.concatenate([slerp(one, other, between + 1)[:-1] for one, other in pairs])


def check_film_target(path: str | os.PathLike[str]) -> Path:
    """`path`, if a film can be written there by its name; OutputError if not."""
    if Path(path).suffix.lower() == ".gif":
        return Path(path)
    if Path(path).suffix.lower() not in CODECS:
        raise OutputError(f"cannot write {path}: a film is one of .gif, {', '.join(CODECS)}, by its name.")
    return check_video_target(path)


def save_film(images_rgb_u8: Iterable[NDArray[np.uint8]], path: str | os.PathLike[str]) -> Path:
    """Write pictures uint8 [h, w, 3] of one size as a .gif that begins again, or as a video.

    OutputError where that cannot be done; nothing half-written is left.
    """
    target = check_film_target(path)
    enlarged = map(_enlarged, images_rgb_u8)
    if target.suffix.lower() != ".gif":
        first = next(enlarged)
        with write_video(target, FRAMES_PER_SECOND, (first.shape[0], first.shape[1])) as write:
            for frame in chain([first], enlarged):
                write(frame)
        return target
    frames, pixels = [], 0
    for frame in enlarged:
        frames.append(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        pixels += frame.shape[0] * frame.shape[1]
        if pixels > MOST_GIF_PIXELS:
            raise OutputError(
                f"cannot write {target}: {len(frames)} pictures and more are too long for a .gif, which is "
                "made in memory; take fewer, or a name that ends in .mp4."
            )
    animation = cv2.Animation()
    animation.frames = frames
    animation.durations = [1000 // FRAMES_PER_SECOND] * len(frames)
    is_encoded, encoded = cv2.imencodeanimation(".gif", animation)
    if not is_encoded:
        raise OutputError(f"cannot write {target}: OpenCV cannot encode it; a name that ends in .mp4 may do.")
    return save_bytes(encoded.tobytes(), target)


def _enlarged(image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = max(1, SHOWN_SIDE_PX // max(image_rgb_u8.shape[:2]))
    return np.ascontiguousarray(image_rgb_u8.repeat(factor, axis=0).repeat(factor, axis=1))
