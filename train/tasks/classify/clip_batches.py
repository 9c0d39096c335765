"""Batches for a classifier of clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tombola.runtime.pictures.shrink import Shrink
from tombola.train.data.augment.warp import WarpSettings, fit_clip
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.resize.fit import Fit
from tombola.train.tasks.classify.batches import Request


@dataclass(frozen=True)
class ClipExample:
    """frames_rgb_u8: uint8 [n, h, w, 3] as large as the network's picture. labels: int64 [n], one a frame."""

    frames_rgb_u8: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class ClipBatch:
    """frames_rgb_u8: uint8 [N, 3, h, w], one clip after the other. lengths: int64 [B], frames of each clip.
    labels: int64 [B], or [N] where each frame has its own."""

    frames_rgb_u8: Tensor
    lengths: Tensor
    labels: Tensor

    def to(self, device: torch.device, **_: Any) -> "ClipBatch":
        """The batch on another device."""
        return ClipBatch(self.frames_rgb_u8.to(device), self.lengths.to(device), self.labels.to(device))


class ClipExamples(Dataset[ClipExample]):
    """Request -> ClipExample; the work of a loader process. All frames of a clip are changed alike; settings
    None changes none."""

    def __init__(
        self,
        data: ClassificationSet,
        most_frames: int,
        size_hw: tuple[int, int],
        fit: Fit,
        settings: WarpSettings | None,
    ) -> None:
        self.data, self.most_frames = data, most_frames
        self.size_hw, self.fit, self.settings = size_hw, fit, settings

    def __getitem__(self, request: Request) -> ClipExample:
        cv2.setNumThreads(0)
        assert self.data.steps is not None
        clip = self.data.clip(request.index, self.most_frames, Shrink(self.size_hw, "both"))
        frames = fit_clip(
            clip.frames_rgb_u8, self.size_hw, fit=self.fit, settings=self.settings, seed=request.seed
        )
        return ClipExample(frames, self.data.steps[request.index].at(clip.places))

    def __len__(self) -> int:
        return len(self.data)


def collate_clips(examples: Sequence[ClipExample], *, of_frames: bool) -> ClipBatch:
    """One batch of clips; of_frames: with a label for each frame, else with that of each clip's last."""
    frames = np.concatenate([example.frames_rgb_u8 for example in examples]).transpose(0, 3, 1, 2)
    labels = [example.labels if of_frames else example.labels[-1:] for example in examples]
    return ClipBatch(
        torch.from_numpy(np.ascontiguousarray(frames)),
        torch.tensor([len(example.labels) for example in examples]),
        torch.from_numpy(np.concatenate(labels)),
    )
