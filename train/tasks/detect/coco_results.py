"""Predictions as COCO's results file has them, for its own tools and all that read what they read."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.metrics.matching import Prediction


def coco_results(predictions: Sequence[Prediction], data: DetectionSet) -> list[dict[str, Any]]:
    """An entry for each box: image_id, category_id, bbox (x, y, width, height in pixels of the picture),
    score, and the picture's file_name.

    The numbers are those of the COCO file that the pictures' labels came from. Other formats have none: a
    picture's is then the number that its file's name is, else that name without its ending; categories count
    from 1, as do those that the COCO file lacks, behind its last.
    """
    categories = _category_ids(data)
    return [
        {
            "image_id": _image_id(record.file_name) if record.image_id is None else record.image_id,
            "category_id": categories[label],
            "bbox": [round(side, 3) for side in (x1, y1, x2 - x1, y2 - y1)],
            "score": round(score, 6),
            "file_name": record.file_name,
        }
        for record, found in zip(data.records, predictions, strict=True)
        for (x1, y1, x2, y2), score, label in zip(
            found.boxes_xyxy.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True
        )
    ]


def _image_id(file_name: str) -> int | str:
    stem = PurePosixPath(file_name).stem
    return int(stem) if stem.isascii() and stem.isdigit() else stem


def _category_ids(data: DetectionSet) -> list[int | str]:
    given = data.category_ids
    last = max((one for one in given.values() if isinstance(one, int)), default=0)
    fresh = iter(range(last + 1, last + 1 + len(data.classes)))
    return [given[name] if name in given else next(fresh) for name in data.classes]
