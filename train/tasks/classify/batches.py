"""Batches for a classifier: which pictures go together, and how they get there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tombola.train.data.augment.warp import WarpSettings, fit_picture
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.resize.fit import Fit


@dataclass(frozen=True)
class Request:
    """One picture of one batch: its index, and the seed of all that is random about it."""

    index: int
    seed: int


@dataclass(frozen=True)
class Batch:
    """images_rgb_u8: uint8 [B, 3, h, w]. labels: int64 [B]."""

    images_rgb_u8: Tensor
    labels: Tensor

    def to(self, device: torch.device, **_: Any) -> "Batch":
        """The batch on another device."""
        return Batch(self.images_rgb_u8.to(device), self.labels.to(device))


def plan_epoch(n_pictures: int, *, batch_size: int, seed: int, epoch: int) -> list[list[Request]]:
    """Shuffle and cut into batches; a function of its arguments alone.

    The pictures that do not fill a batch wait for another epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(n_pictures)[: n_pictures // batch_size * batch_size]
    seeds = rng.integers(0, 2**31 - 2, size=len(order))
    requests = [Request(index, seed) for index, seed in zip(order.tolist(), seeds.tolist(), strict=True)]
    return [requests[start : start + batch_size] for start in range(0, len(requests), batch_size)]


class ClassifyExamples(Dataset[tuple[NDArray[np.uint8], int]]):
    """Request -> (image_rgb_u8 [h, w, 3] as large as the network's picture, label); the work of a loader
    process. settings None changes no picture."""

    def __init__(
        self, data: ClassificationSet, size_hw: tuple[int, int], fit: Fit, settings: WarpSettings | None
    ) -> None:
        self.data = data
        self.size_hw = size_hw
        self.fit = fit
        self.settings = settings

    def __getitem__(self, request: Request) -> tuple[NDArray[np.uint8], int]:
        return self.__getitems__([request])[0]

    def __getitems__(self, requests: Sequence[Request]) -> list[tuple[NDArray[np.uint8], int]]:
        cv2.setNumThreads(0)
        indices = [request.index for request in requests]
        images = zip(self.data.read_several(indices), requests, strict=True)
        canvases = [
            fit_picture(image_rgb_u8, self.size_hw, fit=self.fit, settings=self.settings, seed=request.seed)
            for image_rgb_u8, request in images
        ]
        return list(zip(canvases, self.data.labels[indices].tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.data)


def collate(examples: Sequence[tuple[NDArray[np.uint8], int]]) -> Batch:
    """Stack equal pictures into a batch."""
    images = np.stack([image for image, _ in examples]).transpose(0, 3, 1, 2)
    return Batch(
        torch.from_numpy(np.ascontiguousarray(images)), torch.tensor([label for _, label in examples])
    )
