"""What is in a data set, in a few numbers."""

from dataclasses import dataclass

import numpy as np

from tombola.train.data.boxes.annotations import Annotations


@dataclass(frozen=True)
class Summary:
    """Counts of a data set, faults included.

    pictures, empty_pictures      annotated pictures; those of them without a box
    boxes, difficult_boxes        boxes; those of them that are difficult
    boxes_by_class                {class: boxes}, in the order of the classes, unknown names last
    picture_sizes_hw              smallest, median and largest annotated height and width; None if unknown
    box_side_px                   smallest, median and largest square root of a box's area; None without boxes
    """

    pictures: int
    empty_pictures: int
    boxes: int
    difficult_boxes: int
    boxes_by_class: dict[str, int]
    picture_sizes_hw: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None
    box_side_px: tuple[float, float, float] | None

    def rows(self) -> list[tuple[str, str]]:
        """Return table rows (what, value), with a row per class at the end."""
        rows = [
            ("pictures", f"{self.pictures} ({self.empty_pictures} without boxes)"),
            ("boxes", f"{self.boxes} ({self.difficult_boxes} difficult)"),
            ("classes", str(len(self.boxes_by_class))),
        ]
        if self.picture_sizes_hw is not None:
            sizes = " / ".join(f"{width}×{height}" for height, width in self.picture_sizes_hw)
            rows.append(("picture size, smallest / median / largest", f"{sizes} px"))
        if self.box_side_px is not None:
            sides = " / ".join(f"{side:.0f}" for side in self.box_side_px)
            rows.append(("box side, smallest / median / largest", f"{sides} px"))
        return rows + [(f"  {name}", str(count)) for name, count in self.boxes_by_class.items()]


def summarize(annotations: Annotations) -> Summary:
    """Count pictures, boxes and classes, and measure their sizes."""
    pictures = annotations.pictures_annotated
    by_class = dict.fromkeys(annotations.classes, 0)
    for name in (name for picture in pictures for name in picture.class_names):
        by_class[name] = by_class.get(name, 0) + 1
    sizes = sorted((one.size_hw for one in pictures if one.size_hw), key=lambda hw: (hw[0] * hw[1], hw))
    boxes = np.concatenate([np.zeros((0, 4)), *(one.boxes_xyxy for one in pictures)])
    sides = np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1))
    sides = sides[np.isfinite(sides)]
    return Summary(
        pictures=len(pictures),
        empty_pictures=sum(len(one.class_names) == 0 for one in pictures),
        boxes=len(boxes),
        difficult_boxes=int(sum(one.difficult.sum() for one in pictures)),
        boxes_by_class=by_class,
        picture_sizes_hw=(sizes[0], sizes[len(sizes) // 2], sizes[-1]) if sizes else None,
        box_side_px=(float(sides.min()), float(np.median(sides)), float(sides.max())) if len(sides) else None,
    )
