"""A trained detector becomes one contract file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tombola.export.difference import Options
from tombola.export.export import ExportReport, Photo, check_width, export_network
from tombola.export.tasks.detect.difference import DetectYardstick
from tombola.export.tasks.detect.wrap import DetectPicture
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.inputs.picture_input import PictureInput


def export_detector(
    network: FasterRCNN,
    picture_input: PictureInput,
    output: Path,
    *,
    labels: Sequence[str],
    defaults: Options,
    facts: Mapping[str, Any] | None = None,
    photos: Sequence[Photo] = (),
    half: bool = True,
) -> ExportReport:
    """Write `network` to `output` as a contract file of the task detect.

    picture_input: what the network was trained to see. defaults: score_threshold, iou_threshold,
    max_detections. The rest, and the errors, are those of `export_network`.
    """
    check_width(network.n_classes, labels)
    return export_network(
        network,
        lambda folded: DetectPicture(folded, picture_input),
        DetectYardstick(),
        output,
        labels=labels,
        defaults=defaults,
        input_size_hw=(picture_input.size, picture_input.size),
        example=_example(),
        facts=facts,
        photos=photos,
        half=half,
    )


def _example() -> tuple[Tensor, ...]:
    """An odd, upright picture, and thresholds; only their shapes and dtypes reach the graph."""
    return (
        torch.zeros((322, 241, 3), dtype=torch.uint8),
        torch.tensor(0.5, dtype=torch.float32),
        torch.tensor(0.5, dtype=torch.float32),
        torch.tensor(100, dtype=torch.int64),
    )
