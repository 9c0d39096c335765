"""What `tombola detect` prints: a table for people, JSON lines for programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tombola.cli.table import GAP, one_line, table

if TYPE_CHECKING:
    from tombola.runtime.detections import Detections


class VideoTally:
    """Counts over the frames of one video: frames, and for each name where and how well it was seen."""

    def __init__(self) -> None:
        self.frames = 0
        self.size_hw = (0, 0)
        self._frames_with: dict[str, int] = {}
        self._most_at_once: dict[str, int] = {}
        self._best_score: dict[str, float] = {}

    def add(self, detections: "Detections") -> None:
        """Count one frame."""
        self.frames += 1
        self.size_hw = detections.size_hw
        for name in dict.fromkeys(detections.names):
            scores = [found.score for found in detections if found.name == name]
            self._frames_with[name] = self._frames_with.get(name, 0) + 1
            self._most_at_once[name] = max(self._most_at_once.get(name, 0), len(scores))
            self._best_score[name] = max(self._best_score.get(name, 0.0), *scores)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(name, frames, most at once, best score), the most frequent name first."""
        names = sorted(self._frames_with, key=lambda name: (-self._frames_with[name], name))
        return [
            (
                name,
                str(self._frames_with[name]),
                str(self._most_at_once[name]),
                f"{self._best_score[name]:.2f}",
            )
            for name in names
        ]


def picture_lines(
    source: Path, detections: "Detections", speed: str, saved: Path | None, columns: int | None
) -> list[str]:
    """A line about the picture and a table of what was found, boxes in its pixels."""
    return [
        _headline(source, detections.size_hw, f"{len(detections)} found", speed, saved),
        *table(
            ("name", "score", "x1", "y1", "x2", "y2"),
            [(one.name, f"{one.score:.2f}", *(f"{side:.0f}" for side in one.box_xyxy)) for one in detections],
            "<>>>>>",
            indent=GAP,
            columns=columns,
        )[0 if len(detections) else 1 :],
    ]


def video_lines(
    source: Path, tally: VideoTally, speed: str, saved: Path | None, columns: int | None
) -> list[str]:
    """A line about the video and a table of what was seen in it."""
    rows = tally.rows()
    return [
        _headline(source, tally.size_hw, f"{tally.frames} frames", speed, saved),
        *table(("name", "frames", "most at once", "best score"), rows, "<>>>", indent=GAP, columns=columns)[
            0 if rows else 1 :
        ],
    ]


def json_line(source: Path, detections: "Detections", more: Mapping[str, object]) -> str:
    """One line of JSON: the source, what is in `more`, and what `Detections.to_dict` gives.

    ASCII only, so that any file name passes any pipe.
    """
    from json import dumps

    return dumps({"source": str(source), **more, **detections.to_dict()})


def _headline(source: Path, size_hw: tuple[int, int], what: str, speed: str, saved: Path | None) -> str:
    parts = [one_line(str(source)), f"{size_hw[1]}×{size_hw[0]}", what, speed]
    return GAP.join(parts + ([f"-> {one_line(str(saved))}"] if saved else []))
