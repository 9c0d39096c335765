"""Boxes as tensors: overlap, offsets, clipping. Corners are x1 y1 x2 y2 in pixels, continuous (no + 1)."""

import math

import torch
from torch import Tensor

# exp() of a wild offset must not overflow: no box grows more than 1000 / 16 times (Ren et al.'s code has it
# too).
_LARGEST_LOG_SCALE = math.log(1000.0 / 16.0)


def area(boxes_xyxy: Tensor) -> Tensor:
    """Area in square pixels: [..., 4] -> [...]."""
    sides = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def pairwise_iou(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Intersection over union of every pair: [..., N, 4], [..., M, 4] -> [..., N, M] in [0, 1]."""
    low = torch.maximum(boxes_a[..., :, None, :2], boxes_b[..., None, :, :2])
    high = torch.minimum(boxes_a[..., :, None, 2:], boxes_b[..., None, :, 2:])
    sides = (high - low).clamp(min=0)
    intersection = sides[..., 0] * sides[..., 1]
    union = area(boxes_a)[..., :, None] + area(boxes_b)[..., None, :] - intersection
    return torch.where(union > 0, intersection / union.clamp(min=1e-12), torch.zeros_like(union))


def generalized_iou(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """GIoU row by row (Rezatofighi et al. 2019, algorithm 1): [N, 4], [N, 4] -> [N] in (-1, 1]."""
    low = torch.maximum(boxes_a[:, :2], boxes_b[:, :2])
    high = torch.minimum(boxes_a[:, 2:], boxes_b[:, 2:])
    sides = (high - low).clamp(min=0)
    intersection = sides[:, 0] * sides[:, 1]
    union = area(boxes_a) + area(boxes_b) - intersection
    hull_sides = torch.maximum(boxes_a[:, 2:], boxes_b[:, 2:]) - torch.minimum(boxes_a[:, :2], boxes_b[:, :2])
    hull = hull_sides[:, 0] * hull_sides[:, 1]
    return intersection / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def encode(boxes_xyxy: Tensor, anchors_xyxy: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Offsets t_x t_y t_w t_h from anchors to boxes (Ren et al. 2015, equation 2), times weights: [N, 4]
    each."""
    anchor_sides = (anchors_xyxy[:, 2:] - anchors_xyxy[:, :2]).clamp(min=1e-3)
    box_sides = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).clamp(min=1e-3)
    anchor_centres = anchors_xyxy[:, :2] + anchor_sides / 2
    box_centres = boxes_xyxy[:, :2] + box_sides / 2
    offsets = torch.cat(
        [(box_centres - anchor_centres) / anchor_sides, torch.log(box_sides / anchor_sides)], 1
    )
    return offsets * offsets.new_tensor(weights)


def decode(offsets: Tensor, anchors_xyxy: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """The inverse of `encode`: offsets [..., 4] and anchors that broadcast to it -> boxes [..., 4]."""
    sides = (anchors_xyxy[..., 2:] - anchors_xyxy[..., :2]).clamp(min=1e-3)
    centres = anchors_xyxy[..., :2] + sides / 2
    unweighted = offsets / offsets.new_tensor(weights)
    new_centres = centres + unweighted[..., :2] * sides
    half = torch.exp(unweighted[..., 2:].clamp(max=_LARGEST_LOG_SCALE)) * sides / 2
    return torch.cat([new_centres - half, new_centres + half], dim=-1)


def clip(boxes_xyxy: Tensor, limits_xyxy: Tensor) -> Tensor:
    """Boxes [..., 4] cut to 0..limit, limits_xyxy [4] = (width, height, width, height) of the picture."""
    return torch.minimum(boxes_xyxy.clamp(min=0), limits_xyxy)


def corner(width: int, height: int, like: Tensor) -> Tensor:
    """(width, height, width, height) float32 [4]; `full` keeps sizes dynamic, `tensor` would bake them in."""
    sides = [torch.full((), side, dtype=torch.float32, device=like.device) for side in (width, height)]
    return torch.stack([*sides, *sides])
