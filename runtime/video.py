"""A video in, the same video with boxes out."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import cv2

from tombola.errors import OutputError
from tombola.runtime.detections import Detections
from tombola.runtime.detector import Detector
from tombola.runtime.output import write_beside
from tombola.runtime.sources import Video, quiet_opencv

# Codecs that OpenCV's wheels can write on every system.
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


@dataclass(frozen=True)
class VideoReport:
    """What was written: the file, its frames, how many boxes in all, and frames a second while working."""

    path: Path
    frames: int
    boxes: int
    frames_per_second: float


def annotate_video(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    detector: Detector,
    *,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
    on_frame: Callable[[int, int, Detections], None] | None = None,
) -> VideoReport:
    """Detect in every frame of `source` and write the drawn frames to `target` at the same rate.

    Sound is not kept.
    target: a file whose suffix is one of .mp4 .m4v .mov .mkv .avi; replaced whole at the end.
    on_frame: called after each frame with its index, the count the file claims (0 if unknown) and the boxes.

    Raises PictureError (source), OutputError (target), ModelError (detector). Nothing half-written is left.
    """
    path = Path(target)
    codec = CODECS.get(path.suffix.lower())
    if codec is None:
        raise OutputError(
            f"cannot write {path}: {path.suffix or 'no suffix'!r} is not one of {', '.join(CODECS)}."
        )
    boxes = frames = 0
    started = perf_counter()
    with Video(source) as video, write_beside(path) as part:
        height, width = video.size_hw
        part.write_bytes(b"")  # tells a refused place from a missing codec
        with quiet_opencv():
            writer = cv2.VideoWriter(
                str(part), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), video.fps, (width, height)
            )
        if not writer.isOpened():
            raise OutputError(
                f"cannot write {path}: this OpenCV has no {codec} encoder; try the suffix .avi."
            )
        try:
            for image_rgb_u8 in video:
                found = detector(
                    image_rgb_u8,
                    score_threshold=score_threshold,
                    iou_threshold=iou_threshold,
                    max_detections=max_detections,
                )
                writer.write(cv2.cvtColor(found.draw(image_rgb_u8), cv2.COLOR_RGB2BGR))
                if on_frame is not None:
                    on_frame(frames, video.frame_count, found)
                boxes += len(found)
                frames += 1
        finally:
            writer.release()
        _check_written(part, path, frames)
    return VideoReport(path, frames, boxes, frames / (perf_counter() - started))


def _check_written(part: Path, path: Path, frames: int) -> None:
    """Read the file again: OpenCV's writer does not say when the disk is full, and its header lies."""
    count = 0
    with quiet_opencv():
        capture = cv2.VideoCapture(str(part), cv2.CAP_FFMPEG)
        while capture.grab():
            count += 1
        capture.release()
    if count != frames:
        raise OutputError(f"cannot write {path}: {count} of {frames} frames were stored; is the disk full?")
