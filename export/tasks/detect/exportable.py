"""What a trained detector brings to an export."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tombola.export.exportable import Exportable, check_width
from tombola.export.parity.photos import some_photos
from tombola.export.parity.question import Options, Photo
from tombola.export.tasks.detect.asking import DetectAsking
from tombola.export.tasks.detect.wrap import DetectPicture, DetectProposals
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.tasks.detect.recipe import DetectRecipe
from tombola.train.tasks.detect.task import load_labelled


def exportable_detector(
    network: FasterRCNN, picture_input: PictureInput, labels: Sequence[str], defaults: Options
) -> Exportable:
    """A trained detector.

    picture_input: what the network was trained to see. defaults: score_threshold, iou_threshold,
    max_detections. ExportError where the labels are not one a class.
    """
    check_width(network.n_classes, labels)
    given = network.proposals is None
    return Exportable(
        task="detect",
        network=network,
        wrap=lambda folded: (DetectProposals if given else DetectPicture)(folded, picture_input),
        asking=DetectAsking(takes_proposals=given),
        example=_example(given=given),
        labels=labels,
        defaults=defaults,
        input_size_hw=picture_input.shrink.wanted_hw,
        input_sides=picture_input.shrink.sides,
        more_inputs=("proposals",) if given else (),
    )


def of_recipe(network: FasterRCNN, recipe: DetectRecipe) -> Exportable:
    """The network of a run, as its recipe has it."""
    picture = recipe.picture
    return exportable_detector(
        network,
        PictureInput(picture.size, network.size_divisor, picture.mean, picture.scale),
        recipe.data.classes,
        recipe.answer.model_dump(),
    )


def photos_of(recipe: DetectRecipe) -> list[Photo]:
    """A few pictures that the run did not train on."""
    return some_photos(lambda split: load_labelled(recipe, split, recipe.data.classes))


def _example(*, given: bool) -> tuple[Tensor, ...]:
    """An odd, upright picture, proposals for a Fast R-CNN, and thresholds; only their shapes and dtypes reach
    the graph."""
    return (
        torch.zeros((322, 241, 3), dtype=torch.uint8),
        *([torch.tensor([[0.0, 0, 20, 30]]).repeat(37, 1)] if given else []),
        torch.tensor(0.5, dtype=torch.float32),
        torch.tensor(0.5, dtype=torch.float32),
        torch.tensor(100, dtype=torch.int64),
    )
