"""Batches for a generator: pictures, their labels, and the random numbers that belong to each of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tombola.train.tasks.classify.batches import ClassifyExamples, Request
from tombola.train.tasks.classify.batches import collate as collate_labelled

NOISE = 1  # beside a request's seed: random numbers other than those that change its picture

Example = tuple[NDArray[np.uint8], int, NDArray[np.float32]]


@dataclass(frozen=True)
class Batch:
    """images_rgb_u8: uint8 [B, 3, h, w]. labels: int64 [B]. noise: float32 [B, n], standard normal."""

    images_rgb_u8: Tensor
    labels: Tensor
    noise: Tensor

    def to(self, device: torch.device, **_: object) -> "Batch":
        """The batch on another device."""
        return Batch(self.images_rgb_u8.to(device), self.labels.to(device), self.noise.to(device))


class GenerateExamples(Dataset[Example]):
    """Request -> picture and label, as a classifier's, and `noise_size` normal numbers of its own."""

    def __init__(self, labelled: ClassifyExamples, noise_size: int) -> None:
        self.labelled = labelled
        self.noise_size = noise_size

    def __getitem__(self, request: Request) -> Example:
        return self.__getitems__([request])[0]

    def __getitems__(self, requests: Sequence[Request]) -> list[Example]:
        read = zip(self.labelled.__getitems__(requests), requests, strict=True)
        return [(*labelled, self._noise(request.seed)) for labelled, request in read]

    def _noise(self, seed: int) -> NDArray[np.float32]:
        if not self.noise_size:
            return np.empty(0, np.float32)
        return np.random.default_rng([seed, NOISE]).standard_normal(self.noise_size, np.float32)

    def __len__(self) -> int:
        return len(self.labelled)


def collate(examples: Sequence[Example]) -> Batch:
    """Stack equal pictures into a batch."""
    labelled = collate_labelled([(image, label) for image, label, _ in examples])
    noise = torch.from_numpy(np.stack([noise for _, _, noise in examples]))
    return Batch(labelled.images_rgb_u8, labelled.labels, noise)
