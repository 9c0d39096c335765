"""From a picture of any size to what a classifier sees; the same arithmetic eagerly and in an exported
graph."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tombola.train.data.pictures.warp import Fit
from tombola.train.networks.layers.operators import resize_u8

# A picture is brought to no more than this by one resize, and from there halved: sides in pixels.
LARGEST_STEP = 256

# ITU-R BT.601; they add up to 1, so a grey picture keeps its values.
LUMA = (0.299, 0.587, 0.114)


class ClassifierInput(nn.Module):
    """Bring a picture to `size_hw`, to grey if channels is 1, and normalise.

    A large picture goes by way of multiples of size_hw, each twice the next: a bilinear resize to half the
    size is the mean of four pixels, so from the first of them on nothing is skipped. To the first, of about
    LARGEST_STEP pixels, a picture leaps: of a larger one only four pixels near each of its points are read,
    for larger steps would cost a small network several times its own time.

    fit "crop" takes the largest part around the centre that has the shape of size_hw; "stretch" the whole
    picture. mean and scale, one a channel, are for pixels of 0..255: the network sees (x - mean) * scale.
    """

    luma: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        size_hw: tuple[int, int],
        *,
        fit: Fit,
        channels: int,
        mean: Sequence[float],
        scale: Sequence[float],
    ) -> None:
        super().__init__()
        self.size_hw = size_hw
        self.fit = fit
        self.channels = channels
        doublings = max(1, int(math.log2(LARGEST_STEP / max(size_hw))))
        self.steps_hw = [(size_hw[0] << n, size_hw[1] << n) for n in range(doublings, 0, -1)]
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("mean", torch.tensor(mean).view(1, channels, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(scale).view(1, channels, 1, 1), persistent=False)

    def forward(self, image_rgb_u8: Tensor) -> Tensor:
        """uint8 [H, W, 3] of any size -> float32 [1, channels, h, w]."""
        image = self._centre(image_rgb_u8) if self.fit == "crop" else image_rgb_u8
        for step_h, step_w in self.steps_hw:
            height, width = image.shape[:2]
            image = resize_u8(image, torch.sym_min(height, step_h), torch.sym_min(width, step_w))
        image = resize_u8(image, *self.size_hw)
        return self.normalise(image.permute(2, 0, 1)[None])

    def normalise(self, images_rgb_u8: Tensor) -> Tensor:
        """uint8 [B, 3, h, w] -> float32 [B, channels, h, w]."""
        images = images_rgb_u8.float()
        if self.channels == 1:
            images = (images * self.luma).sum(dim=1, keepdim=True)
        return (images - self.mean) * self.scale

    def _centre(self, image_rgb_u8: Tensor) -> Tensor:
        height, width = image_rgb_u8.shape[:2]
        want_h, want_w = self.size_hw
        part_h = torch.sym_min(height, torch.sym_max(1, width * want_h // want_w))
        part_w = torch.sym_min(width, torch.sym_max(1, height * want_w // want_h))
        rows = image_rgb_u8.narrow(0, (height - part_h) // 2, part_h)
        return rows.narrow(1, (width - part_w) // 2, part_w)
