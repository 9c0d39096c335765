"""Batches for a detector: which pictures go together, on what canvas, and how they get there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tombola.train.data.augment.augment import AugmentSettings, augment
from tombola.train.data.augment.mixup import mixup
from tombola.train.data.augment.mosaic import mosaic
from tombola.train.data.augment.window import Sample
from tombola.train.data.boxes.detection_set import DetectionRecord, DetectionSet
from tombola.train.networks.detect.sampling import Target, Targets
from tombola.train.resize.fit import fit_inside


@dataclass(frozen=True)
class Request:
    """One picture of one batch: its index, the canvas (height, width), the seed of all that is random, and
    whether it may be joined with others."""

    index: int
    canvas_hw: tuple[int, int]
    seed: int
    joined: bool


@dataclass(frozen=True)
class Batch:
    """images_u8: uint8 [B, 3, H, W], padded with the mean colour. targets: one a picture."""

    images_u8: Tensor
    targets: Targets

    def to(self, device: torch.device, **_: Any) -> "Batch":
        """The batch on another device."""
        return Batch(self.images_u8.to(device), self.targets.to(device))


def plan_epoch(
    records: Sequence[DetectionRecord],
    *,
    batch_size: int,
    sizes: Sequence[int],
    divisor: int,
    seed: int,
    epoch: int,
    joined: bool,
) -> list[list[Request]]:
    """Shuffle, and put pictures of like shape together so that little of a canvas is padding.

    A function of its arguments alone. The pictures that do not fill a batch wait for another epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(records))[: len(records) // batch_size * batch_size]
    shapes = np.array([_shape(records[index]) for index in order])
    # A stable sort keeps the shuffle inside each shape; whole batches are shuffled again below.
    order = order[np.argsort(shapes, kind="stable")]
    groups = [
        order[start : start + batch_size] for start in range(0, len(order) - batch_size + 1, batch_size)
    ]
    batches = []
    for position in rng.permutation(len(groups)):
        group = groups[position]
        canvas_hw = _canvas_hw([_shape(records[i]) for i in group], int(rng.choice(sizes)), divisor)
        seeds = rng.integers(0, 2**31 - 2, size=len(group))
        batches.append(
            [Request(int(i), canvas_hw, int(s), joined) for i, s in zip(group, seeds, strict=True)]
        )
    return batches


# A picture's proposals go with its boxes under this label, as difficult ones: none must stay in sight.
PROPOSED = -1

_PORTRAIT, _LANDSCAPE = 0, 1


def _shape(record: DetectionRecord) -> int:
    if record.size_hw is None:
        return _LANDSCAPE
    return _PORTRAIT if record.size_hw[0] > record.size_hw[1] else _LANDSCAPE


def _canvas_hw(shapes: Sequence[int], size: int, divisor: int) -> tuple[int, int]:
    """4:3 or 3:4 by what most of the pictures are, each side a multiple of divisor."""
    long = -(-size // divisor) * divisor
    short = -(-size * 3 // 4 // divisor) * divisor
    return (short, long) if 2 * sum(shapes) >= len(shapes) * _LANDSCAPE else (long, short)


class DetectExamples(Dataset[tuple[NDArray[np.uint8], Target]]):
    """Request -> (picture on its canvas, target in canvas pixels); the work of a loader process."""

    def __init__(
        self, data: DetectionSet, settings: AugmentSettings, mean: tuple[float, float, float]
    ) -> None:
        self.data = data
        self.settings = settings
        self.mean = mean

    def __getitem__(self, request: Request) -> tuple[NDArray[np.uint8], Target]:
        cv2.setNumThreads(0)
        rng = np.random.default_rng(request.seed)
        sample = self._on_canvas(request.index, request, rng)
        if request.joined and self.settings.mixup > 0 and rng.random() < self.settings.mixup:
            other = int(rng.integers(0, len(self.data)))
            sample = mixup(sample, self._on_canvas(other, request, rng), rng=rng)
        canvas, boxes, labels, difficult = sample
        boxes, proposed = np.asarray(boxes, np.float32), labels == PROPOSED
        target = Target(
            torch.from_numpy(boxes[~proposed]),
            torch.from_numpy(labels[~proposed]),
            torch.from_numpy(difficult[~proposed]),
            request.seed,
            torch.from_numpy(boxes[proposed]),
        )
        return canvas, target

    def __len__(self) -> int:
        return len(self.data)

    def _on_canvas(self, index: int, request: Request, rng: np.random.Generator) -> Sample:
        """Picture `index`, changed, and its boxes in canvas pixels."""
        sample = self._sample(index)
        if request.joined and self.settings.mosaic > 0 and rng.random() < self.settings.mosaic:
            others = rng.integers(0, len(self.data), size=3)
            sample = mosaic([sample, *(self._sample(int(index)) for index in others)], rng=rng)
        image, boxes, labels, difficult = augment(*sample, settings=self.settings, rng=rng)
        canvas, factor = _fit(image, request.canvas_hw, self.mean)
        return canvas, boxes * factor, labels, difficult

    def _sample(self, index: int) -> Sample:
        record = self.data.records[index]
        image, boxes, labels, difficult = (
            self.data.read(index),
            record.boxes_xyxy,
            record.labels,
            record.difficult,
        )
        if record.proposals_xyxy is not None:
            count = len(record.proposals_xyxy)
            boxes = np.concatenate([boxes, record.proposals_xyxy])
            labels = np.concatenate([labels, np.full(count, PROPOSED)])
            difficult = np.concatenate([difficult, np.ones(count, np.bool_)])
        return image, boxes, labels, difficult


def _fit(
    image: NDArray[np.uint8], canvas_hw: tuple[int, int], mean: tuple[float, float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The picture as large as the canvas allows, at its top left; and the factors (x, y, x, y) on
    coordinates."""
    resized = fit_inside(image, canvas_hw)
    height, width = resized.shape[:2]
    canvas = np.empty((*canvas_hw, 3), np.uint8)
    canvas[:] = np.round(mean).astype(np.uint8)
    canvas[:height, :width] = resized
    x, y = width / image.shape[1], height / image.shape[0]
    return canvas, np.array([x, y, x, y], np.float32)


def collate(examples: Sequence[tuple[NDArray[np.uint8], Target]]) -> Batch:
    """Stack equal canvases into a batch."""
    images = np.stack([image for image, _ in examples]).transpose(0, 3, 1, 2)
    return Batch(torch.from_numpy(np.ascontiguousarray(images)), Targets(target for _, target in examples))
