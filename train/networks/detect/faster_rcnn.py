"""Faster R-CNN (Ren et al. 2015): a backbone, proposals from its maps, and a second look at each proposal.

With proposals from elsewhere it is Fast R-CNN (Girshick 2015).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axes
from tombola.train.networks.backbones.backbone import Backbone
from tombola.train.networks.detect.proposals import ProposalSettings, RegionProposals
from tombola.train.networks.detect.pyramid import FeaturePyramid, SingleMap
from tombola.train.networks.detect.roi_head import RoiHead, RoiSettings
from tombola.train.networks.detect.sampling import Target
from tombola.train.networks.layers.boxes import clip, corner
from tombola.train.networks.layers.operators import batched_nms

MOST_PER_CLASS = 100  # boxes of one class, where proposals come from elsewhere


class FasterRCNN(nn.Module):
    """Two-stage detector; `forward` is for training, `detect` for one picture.

    Pictures are float32 [B, 3, H, W], normalised as the backbone's weights want them, H and W multiples of
    `size_divisor`. Boxes are x1 y1 x2 y2 in pixels of that picture. Labels are 0-based, background has none.
    `axes` are those that the backbone was built with. `proposals` None makes it Fast R-CNN: each picture's
    proposals are given to it, in training in the targets.
    """

    size_divisor = 32

    def __init__(
        self,
        backbone: Backbone,
        n_classes: int,
        *,
        channels: int,
        pyramid: bool,
        proposals: ProposalSettings | None,
        roi: RoiSettings,
        axes: Axes | None = None,
    ) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.backbone = backbone
        axes = axes or Axes()
        neck = axes.new("neck", channels)
        self.neck = (
            FeaturePyramid(backbone.writes, axes.new("neck.merged", channels), neck)
            if pyramid
            else SingleMap(backbone.writes[-1], neck)
        )
        self.proposals = (
            None
            if proposals is None
            else RegionProposals(neck, axes.new("proposals", channels), backbone.strides, proposals)
        )
        self.most_per_class = MOST_PER_CLASS if proposals is None else proposals.after_nms
        hidden = (axes.new("roi_head.0", roi.width), axes.new("roi_head.1", roi.width))
        self.roi_head = RoiHead(neck, hidden, backbone.strides, n_classes, roi)

    def forward(self, images: Tensor, targets: Iterable[Target]) -> dict[str, Tensor]:
        """Losses of a batch: objectness, proposal_box, class, box; each float32 [], the mean over pictures.
        Those of Fast R-CNN are class and box."""
        maps = self.neck(self.backbone(images))
        if self.proposals is None:
            given = [one.proposals_xyxy for one in targets if one.proposals_xyxy is not None]
            class_loss, box_loss = self.roi_head.loss(maps, given, targets)
            return {"class": class_loss, "box": box_loss}
        logits, offsets, anchors = self.proposals(maps)
        objectness_loss, proposal_box_loss = self.proposals.loss(logits, offsets, anchors, targets)
        limits = corner(images.shape[3], images.shape[2], images)
        with torch.no_grad():
            proposed = [
                self.proposals.propose(one_logits, one_offsets, anchors, limits, training=True)
                for one_logits, one_offsets in zip(logits.float(), offsets.float(), strict=True)
            ]
        class_loss, box_loss = self.roi_head.loss(maps, proposed, targets)
        return {
            "objectness": objectness_loss,
            "proposal_box": proposal_box_loss,
            "class": class_loss,
            "box": box_loss,
        }

    def detect(
        self,
        image: Tensor,
        size_hw: tuple[int, int],
        score_threshold: Tensor,
        iou_threshold: Tensor,
        max_detections: Tensor,
        proposals_xyxy: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find objects in one picture.

        image: float32 [1, 3, H, W]. size_hw: the part of it, from the top left, that holds the picture; the
        rest is padding. score_threshold, iou_threshold: float32 []. max_detections: int64 [].
        proposals_xyxy: float32 [K, 4], of Fast R-CNN alone; clipped to the picture.
        Returns boxes float32 [n, 4], scores float32 [n] in (score_threshold, 1], labels int64 [n]; best
        first.
        """
        maps = self.neck(self.backbone(image))
        limits = corner(size_hw[1], size_hw[0], image)
        rois = self.propose(maps, limits) if proposals_xyxy is None else clip(proposals_xyxy, limits)
        order, class_logits, box_offsets = self.roi_head(
            maps, rois, torch.zeros_like(rois[:, 0], dtype=torch.int64)
        )
        scores = class_logits.softmax(dim=1)[:, : self.n_classes].t()  # [classes, K]
        boxes = clip(
            self.roi_head.refine(rois.index_select(0, order), box_offsets), limits
        )  # [K, 1 or classes, 4]
        boxes = boxes.transpose(0, 1).expand(self.n_classes, -1, -1)
        kept = batched_nms(boxes, scores, iou_threshold, score_threshold, self.most_per_class)  # [M, 2]
        class_index, box_index = kept.unbind(1)
        flat = class_index * scores.shape[1] + box_index  # into [classes * K]
        kept_scores = scores.flatten().index_select(0, flat)
        ranking = kept_scores.argsort(descending=True)[: max_detections.clamp(min=0)]
        best_boxes = boxes.reshape(-1, 4).index_select(0, flat.index_select(0, ranking))
        return best_boxes, kept_scores.index_select(0, ranking), class_index.index_select(0, ranking)

    def propose(self, maps: list[Tensor], limits_xyxy: Tensor) -> Tensor:
        """The network's own proposals [K, 4], best first, clipped, from the maps of one picture."""
        assert self.proposals is not None, "Fast R-CNN must be given proposals"
        logits, offsets, anchors = self.proposals(maps)
        return self.proposals.propose(logits[0], offsets[0], anchors, limits_xyxy, training=False)
