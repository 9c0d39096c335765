"""The region proposal network (Ren et al. 2015, section 3.1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le, Len
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axis
from tombola.train.networks.detect.anchors import Anchors
from tombola.train.networks.detect.sampling import Target, match, sample
from tombola.train.networks.layers.boxes import clip, decode, encode
from tombola.train.networks.layers.convolution import Conv
from tombola.train.networks.layers.operators import batched_nms

_OFFSET_WEIGHTS = (1.0, 1.0, 1.0, 1.0)

# Ranges that a recipe is held to.
Count = Annotated[int, Ge(1)]
Share = Annotated[float, Ge(0), Le(1)]
Positives = Annotated[tuple[Annotated[float, Gt(0)], ...], Len(1)]


@dataclass(frozen=True)
class ProposalSettings:
    """How anchors are laid, matched, sampled and thinned out.

    anchor_sizes_px: one tuple a pyramid level, square roots of areas in network pixels. anchor_ratios:
    height / width. An anchor is an object's from an IoU of positive_iou on, and background below
    negative_iou; each picture has `samples` of them, at most positive_share of an object. before_nms,
    after_nms: how many of the best anchors enter and leave NMS (at nms_iou) at run time; in training
    training_before_nms and training_after_nms.
    """

    anchor_sizes_px: Annotated[tuple[Positives, ...], Len(1)] = ((20.0, 32.0), (56.0, 90.0), (144.0, 230.0))
    anchor_ratios: Positives = (0.5, 1.0, 2.0)
    positive_iou: Share = 0.7
    negative_iou: Share = 0.3
    samples: Count = 128
    positive_share: Share = 0.5
    nms_iou: Share = 0.7
    before_nms: Count = 300
    after_nms: Count = 60
    training_before_nms: Count = 1000
    training_after_nms: Count = 300


class RegionProposals(nn.Module):
    """A small head slides over every level; 1×1 convolutions say object or not (k) and where (4k)."""

    def __init__(
        self, reads: Axis, hidden: Axis, strides: tuple[int, ...], settings: ProposalSettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.anchors = nn.ModuleList(
            Anchors(sizes, settings.anchor_ratios, stride)
            for sizes, stride in zip(settings.anchor_sizes_px, strides, strict=True)
        )
        per_cell = len(settings.anchor_sizes_px[0]) * len(settings.anchor_ratios)
        # Depthwise 5×5 sees as far as the classic 3×3 with its stride-16 VGG map, for a twentieth of the
        # work.
        self.slide = nn.Sequential(
            Conv(reads, reads, 5, padding=2, depthwise=True),
            Conv(reads, hidden, 1),
            nn.ReLU(inplace=True),
        )
        self.objectness = Conv(hidden, Axis("objectness", per_cell, pinned=True), 1)
        self.offsets = Conv(hidden, Axis("proposal offsets", 4 * per_cell, pinned=True), 1)
        for head in (self.objectness, self.offsets):
            nn.init.normal_(head.weight, std=0.01)
            assert head.bias is not None
            nn.init.zeros_(head.bias)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Maps [B, C, H_l, W_l] -> objectness logits [B, A], offsets [B, A, 4], anchors [A, 4]."""
        logits, offsets, anchors = [], [], []
        for feature_map, level_anchors in zip(maps, self.anchors, strict=True):
            seen = self.slide(feature_map)
            logits.append(self.objectness(seen).permute(0, 2, 3, 1).flatten(1))
            moved = self.offsets(seen).permute(0, 2, 3, 1).flatten(1)
            offsets.append(moved.unflatten(1, (-1, 4)))
            anchors.append(level_anchors(feature_map))
        return torch.cat(logits, 1), torch.cat(offsets, 1), torch.cat(anchors, 0)

    def propose(
        self, logits: Tensor, offsets: Tensor, anchors: Tensor, limits_xyxy: Tensor, *, training: bool
    ) -> Tensor:
        """The proposals of one picture, best first: logits [A], offsets [A, 4], anchors [A, 4] -> [K, 4],
        clipped."""
        settings = self.settings
        before = settings.training_before_nms if training else settings.before_nms
        after = settings.training_after_nms if training else settings.after_nms
        best_logits, best = torch.topk(logits, torch.sym_min(logits.shape[0], before))
        decoded = decode(offsets.index_select(0, best), anchors.index_select(0, best), _OFFSET_WEIGHTS)
        boxes = clip(decoded, limits_xyxy)
        kept = batched_nms(
            boxes[None],
            best_logits[None],
            boxes.new_tensor(settings.nms_iou),
            boxes.new_tensor(float("-inf")),
            after,
        )
        return boxes.index_select(0, kept[:, 1])

    def loss(
        self, logits: Tensor, offsets: Tensor, anchors: Tensor, targets: Iterable[Target]
    ) -> tuple[Tensor, Tensor]:
        """Objectness and offset losses (Ren et al. 2015, equation 1), each the mean over pictures."""
        settings = self.settings
        objectness_losses, box_losses = [], []
        for picture, target in enumerate(targets):
            state, closest = match(
                anchors,
                target,
                positive_iou=settings.positive_iou,
                negative_iou=settings.negative_iou,
                rescue=True,
            )
            positives, negatives = sample(
                state, count=settings.samples, positive_share=settings.positive_share, seed=target.seed
            )
            chosen = torch.cat([positives, negatives])
            truth = torch.zeros_like(logits[picture, chosen])
            truth[: len(positives)] = 1.0
            count = max(len(chosen), 1)
            objectness_losses.append(
                F.binary_cross_entropy_with_logits(logits[picture, chosen], truth, reduction="sum") / count
            )
            wanted = encode(target.boxes_xyxy[closest[positives]], anchors[positives], _OFFSET_WEIGHTS)
            box_losses.append(
                F.smooth_l1_loss(offsets[picture, positives], wanted, beta=1 / 9, reduction="sum") / count
            )
        return torch.stack(objectness_losses).mean(), torch.stack(box_losses).mean()
