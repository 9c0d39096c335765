"""Which anchor or RoI answers for which object, and which of them enter the loss."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tombola.train.networks.layers.boxes import pairwise_iou

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


@dataclass(frozen=True)
class Target:
    """What is to be found in one picture.

    boxes_xyxy: float32 [n, 4] in pixels of the network's picture. labels: int64 [n], 0-based. difficult:
    bool [n]; such objects are neither learned nor counted as background. seed: drives the sampling for this
    picture alone, so that the result does not depend on which process handles it. proposals_xyxy: float32
    [k, 4], where they come from outside of the network.
    """

    boxes_xyxy: Tensor
    labels: Tensor
    difficult: Tensor
    seed: int
    proposals_xyxy: Tensor | None = None

    def to(self, device: torch.device) -> "Target":
        """The same on another device."""
        proposals = self.proposals_xyxy
        return replace(
            self,
            boxes_xyxy=self.boxes_xyxy.to(device),
            labels=self.labels.to(device),
            difficult=self.difficult.to(device),
            proposals_xyxy=None if proposals is None else proposals.to(device),
        )


class Targets:
    """One Target a picture, in the order of the batch.

    No list, because Fabric walks into lists to cast floats to its precision, and boxes must stay exact.
    """

    def __init__(self, targets: Iterable[Target]) -> None:
        self._targets = tuple(targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __iter__(self) -> Iterator[Target]:
        return iter(self._targets)

    def to(self, device: torch.device) -> "Targets":
        """The same on another device."""
        return Targets(target.to(device) for target in self)


def match(
    candidates_xyxy: Tensor, target: Target, *, positive_iou: float, negative_iou: float, rescue: bool
) -> tuple[Tensor, Tensor]:
    """Assign every candidate to an object (Ren et al. 2015, section 3.1.2).

    Positive: IoU >= positive_iou with an object, or (`rescue`) the best candidate of an object, at IoU > 0.1.
    Negative: IoU < negative_iou with all. Ignored: between, or closest to a difficult object.
    Returns (state int64 [N], index of the closest object int64 [N]; 0 where the picture has none).
    """
    count = len(candidates_xyxy)
    if len(target.boxes_xyxy) == 0:
        zeros = torch.zeros(count, dtype=torch.int64, device=candidates_xyxy.device)
        return zeros, zeros.clone()
    iou = pairwise_iou(candidates_xyxy, target.boxes_xyxy)  # [N, n]
    best_iou, closest = iou.max(dim=1)
    state = torch.full_like(closest, IGNORED)
    state[best_iou < negative_iou] = NEGATIVE
    state[best_iou >= positive_iou] = POSITIVE
    if rescue:
        best_of_object = iou.max(dim=0).values  # [n]
        lifted = (iou == best_of_object) & (best_of_object > 0.1)
        rows = lifted.any(dim=1) & (state != POSITIVE)
        state[rows] = POSITIVE
        closest[rows] = (iou * lifted)[rows].argmax(dim=1)
    state[(state == POSITIVE) & target.difficult[closest]] = IGNORED
    return state, closest


def sample(state: Tensor, *, count: int, positive_share: float, seed: int) -> tuple[Tensor, Tensor]:
    """At most count * positive_share positives, filled up with negatives; both chosen at random by `seed`.

    Returns int64 indices (positives, negatives).
    """
    generator = torch.Generator().manual_seed(seed)
    positives = _choose((state == POSITIVE).nonzero()[:, 0], int(count * positive_share), generator)
    negatives = _choose((state == NEGATIVE).nonzero()[:, 0], count - len(positives), generator)
    return positives, negatives


def _choose(indices: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if len(indices) <= count:
        return indices
    return indices[torch.randperm(len(indices), generator=generator)[:count].to(indices.device)]
