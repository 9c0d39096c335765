"""From a picture of any size to what a classifier sees; the same arithmetic eagerly and in an exported
graph."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tombola.runtime.pictures.shrink import Shrink
from tombola.train.networks.layers.operators import halve_u8, part_u8, resize_u8
from tombola.train.resize.fit import Fit, middle

# ITU-R BT.601; they add up to 1, so a grey picture keeps its values.
LUMA = (0.299, 0.587, 0.114)


class ClassifierInput(nn.Module):
    """Bring a picture to `size_hw`, to grey if channels is 1, and normalise. The pixels are those of `fill`.

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
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("mean", torch.tensor(mean).view(1, channels, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(scale).view(1, channels, 1, 1), persistent=False)

    @property
    def shrink(self) -> Shrink:
        """How a picture may be halved before, for the same pixels."""
        return Shrink(self.size_hw, "both")

    def forward(self, image_rgb_u8: Tensor) -> Tensor:
        """uint8 [H, W, 3] of any size -> float32 [1, channels, h, w]."""
        return self.normalise(self.canvas(image_rgb_u8).permute(2, 0, 1)[None])

    def of_clip(self, frames_rgb_u8: Tensor) -> Tensor:
        """uint8 [n, H, W, 3] of any size -> float32 [n, channels, h, w]."""
        return torch.cat([self(frame) for frame in frames_rgb_u8])

    def canvas(self, image_rgb_u8: Tensor) -> Tensor:
        """uint8 [H, W, 3] of any size -> uint8 [h, w, 3]."""
        image, _ = halve_u8(image_rgb_u8, *self.size_hw, "both")
        if self.fit == "crop":
            image = part_u8(image, *middle(image.shape[0], image.shape[1], self.size_hw))
        canvas: Tensor = resize_u8(image, *self.size_hw)
        return canvas

    def normalise(self, images_rgb_u8: Tensor) -> Tensor:
        """uint8 [B, 3, h, w] -> float32 [B, channels, h, w]."""
        images = images_rgb_u8.float()
        if self.channels == 1:
            images = (images * self.luma).sum(dim=1, keepdim=True)
        return (images - self.mean) * self.scale
