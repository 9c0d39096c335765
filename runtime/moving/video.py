"""The same video with its answers drawn in."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tombola.errors import PictureError
from tombola.runtime.clips.video import Video
from tombola.runtime.model import Answer
from tombola.runtime.moving.video_writer import write_video
from tombola.runtime.pictures.picture import MAX_PIXELS

AnswerT = TypeVar("AnswerT", bound=Answer)


@dataclass(frozen=True)
class VideoReport:
    """What was written: the file, its frames, and frames a second while working."""

    path: Path
    frames: int
    frames_per_second: float


def annotate_video(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    answer: Callable[[NDArray[np.uint8]], AnswerT],
    *,
    on_frame: Callable[[int, int, AnswerT], None] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> VideoReport:
    """Answer every frame of `source` and write the drawn frames to `target` at the same rate.

    Sound is not kept.
    answer: a loaded model, or a function of a frame, `image_rgb_u8` [height, width, 3], that asks one.
    target: a file whose suffix is a key of CODECS; replaced whole at the end.
    on_frame: called after each frame with its index, the count the file claims (0 if unknown) and its answer.

    Raises PictureError (source), OutputError (target), ModelError (answer). Nothing half-written is left; of
    a source that is cut off, what could be read is written before the error is raised.
    """
    frames = 0
    cut_off: PictureError | None = None
    started = perf_counter()
    with (
        Video(source, max_pixels=max_pixels) as video,
        write_video(target, video.fps, video.size_hw) as write,
    ):
        try:
            for image_rgb_u8 in video:
                found = answer(image_rgb_u8)
                write(found.draw(image_rgb_u8))
                if on_frame is not None:
                    on_frame(frames, video.frame_count, found)
                frames += 1
        except PictureError as error:
            if frames == 0:
                raise
            cut_off = error
    if cut_off is not None:
        raise cut_off
    return VideoReport(Path(target), frames, frames / (perf_counter() - started))
