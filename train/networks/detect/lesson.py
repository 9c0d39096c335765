"""What a detector learns from another one: the maps it sees, the proposals it makes, the classes and boxes it
tells (Chen et al. 2017)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from tombola.train.networks.layers.soft_labels import soft_label_distance

TAUGHT = "taught_"  # how the parts of the loss begin that compare with a teacher

# Of the mean of the Gram matrix's diagonal, added to it, for few cells do not tell all channels apart.
_RIDGE = 1e-4


class Lesson(NamedTuple):
    """What a teacher sees in a batch and says of it.

    maps: of its neck, finest first, float [B, C, H_l, W_l]. objectness [B, A] logits and anchor_offsets
    [B, A, 4] of all anchors, `asked` of which are compared, its best; None of Fast R-CNN. rois_xyxy [K, 4] in
    pixels of the network's picture, picture_index int64 [K]; of them class logits [K, classes + 1],
    background last, softened by temperature, and box offsets [K, box classes, 4].
    """

    maps: list[Tensor]
    objectness: Tensor | None
    anchor_offsets: Tensor | None
    asked: int
    rois_xyxy: Tensor
    picture_index: Tensor
    logits: Tensor
    offsets: Tensor
    temperature: float = 1.0


def lesson_losses(
    lesson: Lesson,
    maps: Sequence[Tensor],
    proposed: tuple[Tensor, Tensor] | None,
    judged: tuple[Tensor, Tensor],
) -> dict[str, Tensor]:
    """How far a network is from its teacher, each part float32 [], the mean over pictures and 0 where both
    answer the same. proposed: its objectness logits and offsets; judged: class logits and offsets of the
    lesson's RoIs."""
    with torch.autocast(maps[0].device.type, enabled=False):
        losses = {f"{TAUGHT}maps": map_distance(maps, lesson.maps)}
        if proposed is not None:
            objectness, box = _proposal_distances(lesson, *(one.float() for one in proposed))
            losses |= {f"{TAUGHT}objectness": objectness, f"{TAUGHT}proposal_box": box}
        class_loss, box_loss = _answer_distances(lesson, *(one.float() for one in judged))
        return {**losses, f"{TAUGHT}class": class_loss, f"{TAUGHT}box": box_loss}


def map_distance(maps: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """float32 []: Σ(s - t)² / Σt² of maps [B, C_s, H_l, W_l] and [B, C_t, H_l, W_l], the mean over pictures
    and levels.

    Where C_s is another number than C_t, each picture's maps first go through the 1×1 convolution that brings
    them nearest (least squares over all cells), which thus needs no training of its own.
    """
    own, other = ([one.flatten(2).transpose(1, 2).float() for one in each] for each in (maps, wanted))
    if own[0].shape[2] != other[0].shape[2]:
        adaptor = _nearest(torch.cat(own, 1).detach(), torch.cat(other, 1))
        own = [one @ adaptor for one in own]
    return torch.stack(
        [
            (s - t).square().sum((1, 2)) / t.square().sum((1, 2)).clamp(min=1e-12)
            for s, t in zip(own, other, strict=True)
        ]
    ).mean()


def _nearest(given: Tensor, wanted: Tensor) -> Tensor:
    """[B, C_s, C_t]: what brings the cells [B, N, C_s] nearest to [B, N, C_t]."""
    gram = given.transpose(1, 2) @ given
    ridge = _RIDGE * gram.diagonal(dim1=1, dim2=2).mean(1) + 1e-12
    gram = gram + ridge[:, None, None] * torch.eye(gram.shape[1], device=gram.device)
    adaptor: Tensor = torch.linalg.solve(gram, given.transpose(1, 2) @ wanted)
    return adaptor


def _proposal_distances(lesson: Lesson, logits: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    assert lesson.objectness is not None
    assert lesson.anchor_offsets is not None
    told, told_offsets = lesson.objectness.float(), lesson.anchor_offsets.float()
    best = told.topk(min(lesson.asked, told.shape[1]), dim=1).indices  # [B, asked]
    told, own = told.gather(1, best), logits.gather(1, best)
    sure = told.sigmoid()
    objectness = F.binary_cross_entropy_with_logits(own, sure) - F.binary_cross_entropy_with_logits(
        told, sure
    )
    cells = best[:, :, None].expand(-1, -1, 4)
    each = F.smooth_l1_loss(
        offsets.gather(1, cells), told_offsets.gather(1, cells), beta=1 / 9, reduction="none"
    )
    return objectness, (sure * each.sum(2)).mean()


def _answer_distances(lesson: Lesson, logits: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    pictures = lesson.maps[0].shape[0]
    counts = lesson.picture_index.bincount(minlength=pictures)
    weight = 1 / (counts[lesson.picture_index] * pictures)  # each picture weighs the same
    told = lesson.logits.float()
    each = soft_label_distance(logits, told, lesson.temperature)
    sure = told.softmax(1)[:, :-1]  # [K, classes]
    if offsets.shape[1] == 1:
        sure = sure.sum(1, keepdim=True)
    moved = F.smooth_l1_loss(offsets, lesson.offsets.float(), reduction="none").sum(2)  # [K, box classes]
    return (weight * each).sum(), (weight * (sure * moved).sum(1)).sum()
