"""The module that is exported for detection: a picture of bytes goes in, boxes come out.

It is not for training, nor to be called for answers: the runtime does that. Sizes are arithmetic on whole
numbers that `torch.export` can follow; `int(h * factor)` would export cleanly and hold for the traced picture
alone.
"""

import torch
from torch import Tensor, nn

from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.networks.layers.boxes import clip, corner


@torch.library.custom_op("tombola::any_size", mutates_args=())
def any_size(pixels: Tensor, divisor: int) -> Tensor:  # noqa: ARG001
    """`pixels` float32 [1, C, H, W] unchanged; to the exporter, of a new size divisible by `divisor`.

    Otherwise it would carry the way from the source's size to this one through every shape of the network and
    guard each step, which makes the export several times slower and the graph longer.
    """
    return pixels.clone()


@any_size.register_fake
def _(pixels: Tensor, divisor: int) -> Tensor:
    height, width = (torch.library.get_ctx().new_dynamic_size(min=1) for _ in range(2))
    return pixels.new_empty((1, pixels.shape[1], height * divisor, width * divisor))


class DetectPicture(nn.Module):
    """Picture to boxes in that picture's own pixels."""

    def __init__(self, network: FasterRCNN, picture_input: PictureInput) -> None:
        super().__init__()
        self.picture_input = picture_input
        self.network = network

    def forward(
        self, image: Tensor, score_threshold: Tensor, iou_threshold: Tensor, max_detections: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """image: uint8 [H, W, 3], RGB. score_threshold, iou_threshold: float32 []. max_detections: int64 [].

        Returns boxes float32 [n, 4] x1 y1 x2 y2 in pixels of `image`, scores float32 [n], labels int64 [n];
        best first.
        """
        pixels, size_hw, factors = self.picture_input(image)
        boxes, scores, labels = self.network.detect(
            any_size(pixels, self.picture_input.divisor),
            size_hw,
            score_threshold,
            iou_threshold,
            max_detections,
        )
        limits = corner(image.shape[1], image.shape[0], boxes)
        return clip(boxes * factors, limits), scores, labels


class DetectProposals(nn.Module):
    """Picture and proposals to boxes, all in that picture's own pixels."""

    def __init__(self, network: FasterRCNN, picture_input: PictureInput) -> None:
        super().__init__()
        self.picture_input = picture_input
        self.network = network

    def forward(
        self,
        image: Tensor,
        proposals: Tensor,
        score_threshold: Tensor,
        iou_threshold: Tensor,
        max_detections: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As that of `DetectPicture`; proposals: float32 [k, 4]."""
        pixels, size_hw, factors = self.picture_input(image)
        boxes, scores, labels = self.network.detect(
            any_size(pixels, self.picture_input.divisor),
            size_hw,
            score_threshold,
            iou_threshold,
            max_detections,
            proposals / factors,
        )
        limits = corner(image.shape[1], image.shape[0], boxes)
        return clip(boxes * factors, limits), scores, labels
