"""Found boxes in the forms that other programs read: COCO, CSV, YOLO; and cut out as pictures."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.tasks.detect.answer import Detection, Detections

CSV_HEADER = ("source", "frame", "name", "label", "score", "x1", "y1", "x2", "y2", "width", "height")


class CocoDocument:
    """Grows into a COCO document, picture by picture. Numbers of categories start at 1, as COCO's do."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._categories = [{"id": number + 1, "name": name} for number, name in enumerate(labels)]

    def add(self, source: str, frame: int | None, detections: Detections) -> None:
        """Add a picture with its boxes, or frame `frame` of a video."""
        height, width = detections.size_hw
        image: dict[str, Any] = {
            "id": len(self._images) + 1,
            "file_name": source,
            "width": width,
            "height": height,
        }
        if frame is not None:
            image["frame"] = frame
        self._images.append(image)
        for found in detections:
            x1, y1, x2, y2 = found.box_xyxy
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": image["id"],
                    "category_id": found.label + 1,
                    "bbox": [round(side, 2) for side in (x1, y1, x2 - x1, y2 - y1)],
                    "area": round((x2 - x1) * (y2 - y1), 2),
                    "iscrowd": 0,
                    "score": round(found.score, 4),
                }
            )

    def to_dict(self) -> dict[str, Any]:
        """The document, JSON-ready."""
        return {"images": self._images, "annotations": self._annotations, "categories": self._categories}


def csv_lines(source: str, frame: int | None, detections: Detections) -> list[str]:
    """A line of CSV_HEADER's columns for each box; width and height are the picture's."""
    height, width = detections.size_hw
    rows = [
        (
            source,
            "" if frame is None else frame,
            found.name,
            found.label,
            round(found.score, 4),
            *(round(side, 2) for side in found.box_xyxy),
            width,
            height,
        )
        for found in detections
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().splitlines()


def yolo_lines(detections: Detections) -> list[str]:
    """A line for each box: class number, centre x and y, width and height as shares of the picture."""
    height, width = detections.size_hw
    lines = []
    for found in detections:
        left, right = (min(max(side, 0), width) / width for side in found.box_xyxy[::2])
        top, bottom = (min(max(side, 0), height) / height for side in found.box_xyxy[1::2])
        sides = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
        lines.append(f"{found.label} " + " ".join(f"{side:.6f}" for side in sides))
    return lines


def cut_out(
    image_rgb_u8: NDArray[np.uint8], detections: Detections
) -> Iterator[tuple[Detection, NDArray[np.uint8]]]:
    """Each found thing with a copy of its pixels, uint8 [height, width, 3] RGB, at least one."""
    from tombola.runtime.tasks.detect.draw import box_pixels

    for found in detections:
        box = box_pixels(found, detections.size_hw)
        yield found, image_rgb_u8[box.top : box.bottom, box.left : box.right].copy()
