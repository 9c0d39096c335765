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

NOISE = 1  # beside a request's seed in a key: random numbers other than those that change its picture

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
        labelled = self.labelled.__getitems__(requests)
        noise = self._noise([request.seed for request in requests])
        return [(*one, row) for one, row in zip(labelled, noise, strict=True)]

    def _noise(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """A row for each seed, float32 [n, noise_size], whatever others it comes with."""
        noise = np.empty((len(seeds), self.noise_size), np.float32)
        # One generator is given key after key: to make one for each costs more than the numbers do.
        philox = np.random.Philox(key=0)
        state, rng = philox.state, np.random.Generator(philox)
        for row, seed in zip(noise, seeds, strict=True):
            state["state"]["key"][:] = seed, NOISE
            philox.state = state
            rng.standard_normal(out=row, dtype=np.float32)
        return noise

    def __len__(self) -> int:
        return len(self.labelled)


def collate(examples: Sequence[Example]) -> Batch:
    """Stack equal pictures into a batch."""
    labelled = collate_labelled([(image, label) for image, label, _ in examples])
    noise = torch.from_numpy(np.stack([noise for _, _, noise in examples]))
    return Batch(labelled.images_rgb_u8, labelled.labels, noise)
