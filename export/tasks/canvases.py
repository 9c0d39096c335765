"""Frames of a clip on the canvases that a network sees, in an exported graph."""

import torch
from torch import Tensor

from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.networks.layers.repeat import repeat


def canvases(picture_input: ClassifierInput, frames: Tensor) -> Tensor:
    """Frame by frame, for a resize is of one picture: uint8 [n, H, W, 3] -> uint8 [n, h, w, 3]."""
    numbers = torch.arange(frames.shape[0])

    def goes_on(number: Tensor, _: Tensor) -> Tensor:
        return number < frames.shape[0]

    def extend(number: Tensor, done: Tensor) -> tuple[Tensor, ...]:
        canvas = picture_input.canvas(frames.index_select(0, number[None])[0])
        here = (numbers == number)[:, None, None, None]
        return number + 1, torch.where(here, canvas, done)

    blank = torch.zeros((frames.shape[0], *picture_input.size_hw, 3), dtype=torch.uint8)
    return repeat(goes_on, extend, (torch.zeros((), dtype=torch.int64), blank))[1]
