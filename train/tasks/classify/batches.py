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
        cv2.setNumThreads(0)
        image_rgb_u8 = fit_picture(
            self.data.read(request.index),
            self.size_hw,
            fit=self.fit,
            settings=self.settings,
            rng=np.random.default_rng(request.seed),
        )
        return image_rgb_u8, int(self.data.labels[request.index])

    def __len__(self) -> int:
        return len(self.data)


def collate(examples: Sequence[tuple[NDArray[np.uint8], int]]) -> Batch:
    """Stack equal pictures into a batch."""
    images = np.stack([image for image, _ in examples]).transpose(0, 3, 1, 2)
    return Batch(
        torch.from_numpy(np.ascontiguousarray(images)), torch.tensor([label for _, label in examples])
    )
