"""Batches for a captioner: pictures or clips with all their captions, and the maps of those that are known
already."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tombola.runtime.clips.clip import spread
from tombola.runtime.pictures.shrink import Shrink
from tombola.train.data.augment.warp import WarpSettings, fit_clip, fit_picture
from tombola.train.data.captions.caption_set import CaptionSet
from tombola.train.data.captions.vocabulary import Vocabulary
from tombola.train.tasks.classify.batches import Request

# What stands behind a caption's last token: no word.
NOTHING = -100


@dataclass(frozen=True)
class Example:
    """Picture `index`, uint8 [h, w, 3] as large as the network's, or of a clip its frames [T, h, w, 3], or
    None where its map is known; which of all looks it is; and its captions as tokens."""

    index: int
    look: int
    image_rgb_u8: NDArray[np.uint8] | None
    tokens: list[list[int]]


@dataclass(frozen=True)
class Batch:
    """indices: int64 [P], which pictures; looks: int64 [P], which of all looks. images_rgb_u8: uint8
    [M, 3, h, w], of clips [M, frames, 3, h, w], of those whose maps are not known, in their order; unknown:
    int64 [M], their places in the batch. tokens: int64 [P, N, T], NOTHING behind the end."""

    indices: Tensor
    looks: Tensor
    images_rgb_u8: Tensor
    unknown: Tensor
    tokens: Tensor

    def to(self, device: torch.device, **_: Any) -> "Batch":
        """The batch on another device."""
        parts = (self.indices, self.looks, self.images_rgb_u8, self.unknown, self.tokens)
        return Batch(*(part.to(device) for part in parts))


class CaptionExamples(Dataset[Example]):
    """Request -> Example; the work of a loader process. frames: of a clip, which are all changed alike; 0 of
    pictures. looks: how many changed versions of a picture there are, 0 new ones each time; known: looks
    whose maps need no picture."""

    def __init__(
        self,
        data: CaptionSet,
        vocabulary: Vocabulary,
        longest: int,
        size_hw: tuple[int, int],
        frames: int,
        settings: WarpSettings | None,
        looks: int,
        known: Container[int],
    ) -> None:
        self.data, self.vocabulary, self.longest = data, vocabulary, longest
        self.size_hw, self.frames, self.settings = size_hw, frames, settings
        self.looks, self.known = looks, known

    def __getitem__(self, request: Request) -> Example:
        cv2.setNumThreads(0)
        look, image = self._look(request), None
        if look not in self.known:
            image = self._changed(request.index, look if self.looks and look >= 0 else request.seed)
        captions = self.data.records[request.index].captions
        return Example(
            request.index,
            look,
            image,
            [self.vocabulary.encode(caption, self.longest) for caption in captions],
        )

    def _changed(self, index: int, seed: int) -> NDArray[np.uint8]:
        if not self.frames:
            image = self.data.read(index)
            return fit_picture(image, self.size_hw, fit="stretch", settings=self.settings, seed=seed)
        frames = self.data.clip(index, self.frames, Shrink(self.size_hw, "both")).frames_rgb_u8
        fitted = fit_clip(frames, self.size_hw, fit="stretch", settings=self.settings, seed=seed)
        return fitted[spread(len(fitted), self.frames)]

    def _look(self, request: Request) -> int:
        """Below 0 an unchanged picture."""
        if self.settings is None:
            return -1 - request.index
        return request.index * self.looks + request.seed % max(self.looks, 1)

    def __len__(self) -> int:
        return len(self.data)


def collate(examples: Sequence[Example], shape: tuple[int, ...]) -> Batch:
    """Stack examples into a batch; a picture with fewer captions than another has empty ones more. shape: of
    a picture or clip."""
    captions = max(len(example.tokens) for example in examples)
    longest = max(len(caption) for example in examples for caption in example.tokens)
    tokens = np.full((len(examples), captions, longest), NOTHING, np.int64)
    for place, example in enumerate(examples):
        for number, caption in enumerate(example.tokens):
            tokens[place, number, : len(caption)] = caption
    unknown = [place for place, example in enumerate(examples) if example.image_rgb_u8 is not None]
    images = [image for example in examples if (image := example.image_rgb_u8) is not None]
    stacked = np.stack(images) if images else np.zeros((0, *shape), np.uint8)
    return Batch(
        torch.tensor([example.index for example in examples]),
        torch.tensor([example.look for example in examples]),
        torch.from_numpy(np.ascontiguousarray(np.moveaxis(stacked, -1, -3))),
        torch.tensor(unknown, dtype=torch.int64),
        torch.from_numpy(tokens),
    )
