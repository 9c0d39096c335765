"""Faster R-CNN (Ren et al. 2015): a backbone, proposals from its maps, and a second look at each proposal.

With proposals from elsewhere it is Fast R-CNN (Girshick 2015).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axes
from tombola.train.networks.backbones.backbone import Backbone
from tombola.train.networks.detect.lesson import Lesson, lesson_losses
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

    def forward(
        self, images: Tensor, targets: Iterable[Target], lesson: Lesson | None = None
    ) -> dict[str, Tensor]:
        """Losses of a batch: objectness, proposal_box, class, box; each float32 [], the mean over pictures.
        Those of Fast R-CNN are class and box. With a lesson also those of `lesson_losses`."""
        maps = self.neck(self.backbone(images))
        losses, told = {}, None
        if self.proposals is None:
            proposed = _given(targets)
        else:
            logits, offsets, anchors = self.proposals(maps)
            told = logits, offsets
            objectness_loss, proposal_box_loss = self.proposals.loss(logits, offsets, anchors, targets)
            losses = {"objectness": objectness_loss, "proposal_box": proposal_box_loss}
            proposed = self._propose_all(images, logits, offsets, anchors, training=True)
        class_loss, box_loss = self.roi_head.loss(maps, proposed, targets)
        losses |= {"class": class_loss, "box": box_loss}
        if lesson is not None:
            judged = self._judge(maps, lesson.rois_xyxy, lesson.picture_index)
            losses |= lesson_losses(lesson, maps, told, judged)
        return losses

    @torch.no_grad()
    def teach(self, images: Tensor, targets: Iterable[Target], *, temperature: float) -> Lesson:
        """What another network may learn from this one, which is in eval mode, about a batch: of each picture
        the best proposals that it makes at run time, half as many as it was trained on; of Fast R-CNN the
        first of those given."""
        maps = self.neck(self.backbone(images))
        logits = offsets = None
        if self.proposals is None:
            proposed, asked = _given(targets), 0
        else:
            logits, offsets, anchors = self.proposals(maps)
            asked = self.proposals.settings.before_nms
            proposed = self._propose_all(images, logits, offsets, anchors, training=False)
        proposed = [one[: max(1, self.roi_head.settings.samples // 2)] for one in proposed]
        picture_index = torch.cat(
            [torch.full_like(one[:, 0], index, dtype=torch.int64) for index, one in enumerate(proposed)]
        )
        rois = torch.cat(proposed)
        judged = self._judge(maps, rois, picture_index)
        return Lesson(maps, logits, offsets, asked, rois, picture_index, *judged, temperature)

    @torch.no_grad()
    def _propose_all(
        self, images: Tensor, logits: Tensor, offsets: Tensor, anchors: Tensor, *, training: bool
    ) -> list[Tensor]:
        """The proposals of each picture, best first."""
        assert self.proposals is not None
        limits = corner(images.shape[3], images.shape[2], images)
        return [
            self.proposals.propose(one_logits, one_offsets, anchors, limits, training=training)
            for one_logits, one_offsets in zip(logits.float(), offsets.float(), strict=True)
        ]

    def _judge(self, maps: list[Tensor], rois_xyxy: Tensor, picture_index: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits and box offsets of RoIs, in their own order."""
        order, logits, offsets = self.roi_head(maps, rois_xyxy, picture_index)
        back = order.argsort()
        return logits[back], offsets[back]

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


def _given(targets: Iterable[Target]) -> list[Tensor]:
    """The proposals of each picture that come from elsewhere."""
    return [one.proposals_xyxy for one in targets if one.proposals_xyxy is not None]
