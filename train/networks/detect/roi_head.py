"""The second stage: pool each proposal, say what it is, and mend its box (Girshick 2015; Ren et al. 2015)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axis, flattened
from tombola.train.networks.detect.proposals import Count, Share
from tombola.train.networks.detect.sampling import Target, match, sample
from tombola.train.networks.layers.boxes import decode, encode, generalized_iou
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.operators import roi_align, roi_pool

_OFFSET_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


@dataclass(frozen=True)
class RoiSettings:
    """How RoIs are pooled, sampled and judged.

    finest_px: proposals whose √area is below it read the finest level, below twice it the next, and so on.
    pooling: RoI Align or RoI Pool, to pooled_size × pooled_size cells of sampling_ratio × sampling_ratio
    points. width: units of the two hidden layers, whose dropout is a share. box_loss: of the four offsets, or
    of the box. In training each picture has `samples` RoIs, at most positive_share of them of an object,
    which they are from an IoU of positive_iou on. box_classes: one box a proposal, or one for each class.
    label_smoothing: share of each label that is spread over all classes (Szegedy et al. 2016, section 7).
    """

    pooling: Literal["align", "pool"] = "align"
    pooled_size: Count = 7
    sampling_ratio: Count = 2
    finest_px: Annotated[float, Gt(0)] = 96.0
    width: Count = 256
    box_classes: Literal["agnostic", "per-class"] = "agnostic"
    box_loss: Literal["smooth-l1", "giou"] = "smooth-l1"
    samples: Count = 64
    positive_share: Share = 0.25
    positive_iou: Share = 0.5
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0


class RoiHead(nn.Module):
    """RoI Align over the pyramid, two narrow fully connected layers, class logits and box offsets."""

    def __init__(
        self,
        reads: Axis,
        hidden: tuple[Axis, Axis],
        strides: tuple[int, ...],
        n_classes: int,
        settings: RoiSettings,
    ) -> None:
        super().__init__()
        self.strides = strides
        self.settings = settings
        self.n_classes = n_classes
        self.n_box_classes = n_classes if settings.box_classes == "per-class" else 1
        first, second = hidden
        self.hidden = nn.Sequential(
            Linear(flattened(reads, settings.pooled_size**2), first),
            nn.ReLU(inplace=True),
            nn.Dropout(settings.dropout),
            Linear(first, second),
            nn.ReLU(inplace=True),
        )
        self.classes = Linear(second, Axis("logits", n_classes + 1, pinned=True))
        self.offsets = Linear(second, Axis("box offsets", 4 * self.n_box_classes, pinned=True))
        nn.init.normal_(self.classes.weight, std=0.01)
        nn.init.normal_(self.offsets.weight, std=0.001)
        nn.init.zeros_(self.classes.bias)
        nn.init.zeros_(self.offsets.bias)

    def forward(
        self, maps: list[Tensor], rois_xyxy: Tensor, picture_index: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Judge RoIs: maps [B, C, H_l, W_l], rois [K, 4], picture_index int64 [K].

        Returns (order int64 [K], logits [K, classes + 1] with background last, offsets [K, box classes, 4]);
        rows are in `order`, grouped by pyramid level, which spares the graph a scatter.
        """
        sides = (rois_xyxy[:, 2:] - rois_xyxy[:, :2]).clamp(min=0)
        sqrt_area = (sides[:, 0] * sides[:, 1]).sqrt()
        last = len(maps) - 1
        orders, pooled = [], []
        for level, (feature_map, stride) in enumerate(zip(maps, self.strides, strict=True)):
            low = self.settings.finest_px * 2 ** (level - 1) if level > 0 else -math.inf
            high = self.settings.finest_px * 2**level if level < last else math.inf
            chosen = ((sqrt_area >= low) & (sqrt_area < high)).nonzero()[:, 0]
            orders.append(chosen)
            rois = rois_xyxy.index_select(0, chosen)
            pooled.append(self._pool(feature_map, rois, picture_index.index_select(0, chosen), stride))
        hidden = self.hidden(torch.cat(pooled).flatten(1))
        offsets = self.offsets(hidden).unflatten(1, (self.n_box_classes, 4))
        return torch.cat(orders), self.classes(hidden), offsets

    def _pool(self, feature_map: Tensor, rois_xyxy: Tensor, picture_index: Tensor, stride: int) -> Tensor:
        size = self.settings.pooled_size
        if self.settings.pooling == "pool":
            return roi_pool(  # type: ignore[no-any-return]
                feature_map, rois_xyxy, picture_index, 1.0 / stride, size
            )
        return roi_align(  # type: ignore[no-any-return]
            feature_map, rois_xyxy, picture_index, 1.0 / stride, size, self.settings.sampling_ratio
        )

    def refine(self, rois_xyxy: Tensor, offsets: Tensor) -> Tensor:
        """RoIs [K, 4] moved by offsets [K, box classes, 4] -> boxes [K, box classes, 4]."""
        return decode(offsets, rois_xyxy[:, None, :], _OFFSET_WEIGHTS)

    def loss(
        self, maps: list[Tensor], proposals: list[Tensor], targets: Iterable[Target]
    ) -> tuple[Tensor, Tensor]:
        """Class and box losses over sampled RoIs, each the mean over pictures (Girshick 2015, equation 1)."""
        rois, pictures, labels, wanted, weights = [], [], [], [], []
        for picture, (boxes, target) in enumerate(zip(proposals, targets, strict=True)):
            sampled, label, truth = self._sample(boxes, target)
            rois.append(sampled)
            labels.append(label)
            wanted.append(truth)
            pictures.append(torch.full_like(label, picture))
            # Each picture weighs the same, however many RoIs it could offer.
            weights.append(
                torch.full((len(label),), 1.0 / max(len(label), 1) / len(proposals), device=label.device)
            )
        all_rois = torch.cat(rois)
        order, logits, offsets = self(maps, all_rois, torch.cat(pictures))
        label, weight = torch.cat(labels)[order], torch.cat(weights)[order]
        smoothed = F.cross_entropy(
            logits, label, reduction="none", label_smoothing=self.settings.label_smoothing
        )
        class_loss = (smoothed * weight).sum()

        positive = (label < self.n_classes).nonzero()[:, 0]
        row = (
            label[positive] if self.settings.box_classes == "per-class" else torch.zeros_like(label[positive])
        )
        moved = offsets[positive, row]
        roi, truth = all_rois[order][positive], torch.cat(wanted)[order][positive]
        if self.settings.box_loss == "giou":
            each = 2.0 * (1.0 - generalized_iou(decode(moved, roi, _OFFSET_WEIGHTS), truth))
        else:
            each = F.smooth_l1_loss(moved, encode(truth, roi, _OFFSET_WEIGHTS), reduction="none").sum(1)
        return class_loss, (each * weight[positive]).sum()

    def _sample(self, boxes: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor]:
        """RoIs [S, 4], their labels [S] (background = classes) and the boxes they should become [S, 4]."""
        settings = self.settings
        # True boxes are proposals too: early in training they are the only good ones.
        boxes = torch.cat([boxes, target.boxes_xyxy])
        state, closest = match(
            boxes,
            target,
            positive_iou=settings.positive_iou,
            negative_iou=settings.positive_iou,
            rescue=False,
        )
        positives, negatives = sample(
            state, count=settings.samples, positive_share=settings.positive_share, seed=target.seed + 1
        )
        background = torch.full_like(negatives, self.n_classes)
        labels = torch.cat([target.labels[closest[positives]], background])
        wanted = torch.cat([target.boxes_xyxy[closest[positives]], boxes[negatives]])
        return boxes[torch.cat([positives, negatives])], labels, wanted
