"""A trained classifier becomes one contract file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tombola.export.export import ExportReport, Photo, check_width, export_network
from tombola.export.tasks.classify.difference import ClassifyYardstick
from tombola.export.tasks.classify.wrap import ClassifyPicture
from tombola.train.networks.classify.classifiers import Classifier
from tombola.train.networks.inputs.classifier_input import ClassifierInput


def export_classifier(
    network: Classifier,
    picture_input: ClassifierInput,
    output: Path,
    *,
    labels: Sequence[str],
    facts: Mapping[str, Any] | None = None,
    photos: Sequence[Photo] = (),
    half: bool = True,
) -> ExportReport:
    """Write `network` to `output` as a contract file of the task classify.

    picture_input: what the network was trained to see. Parity is checked at its size too, and at that of a
    picture with one side in common with it. The rest, and the errors, are those of `export_network`.
    """
    height, width = picture_input.size_hw
    check_width(network.head.out_features, labels)
    return export_network(
        network,
        lambda folded: ClassifyPicture(folded, picture_input),
        ClassifyYardstick(),
        output,
        labels=labels,
        defaults={},
        input_size_hw=picture_input.size_hw,
        # Odd, upright and not of the network's size, so that nothing of it can be taken for a constant.
        example=(torch.zeros((2 * height + 37, 2 * width + 11, 3), dtype=torch.uint8),),
        facts=facts,
        photos=photos,
        parity_sizes_hw=((height, width), (height, 3 * width), (3 * height, width)),
        half=half,
    )
