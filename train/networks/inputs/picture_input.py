"""From a picture of any size to what the network sees; the same arithmetic eagerly and in an exported
graph."""

import torch
from torch import Tensor, nn

from tombola.runtime.pictures.shrink import Shrink
from tombola.train.networks.layers.boxes import corner
from tombola.train.networks.layers.operators import halve_u8, resize_u8
from tombola.train.resize.fit import inside_hw


class PictureInput(nn.Module):
    """Resize so that the longer side is `size`, pad at the bottom and right to multiples of `divisor`,
    normalise. The pixels are those of `fit_inside`.

    The padding has the mean colour, which is 0 after (x - mean) * scale.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        size: int,
        divisor: int,
        mean: tuple[float, float, float],
        scale: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.size = size
        self.divisor = divisor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1), persistent=False)

    @property
    def shrink(self) -> Shrink:
        """How a picture may be halved before, for the same pixels."""
        return Shrink((self.size, self.size), "longer")

    def forward(self, image_rgb_u8: Tensor) -> tuple[Tensor, tuple[int, int], Tensor]:
        """uint8 [H, W, 3] -> what the network sees, and how its pixels become the picture's.

        Returns float32 [1, 3, h', w'], (h, w) of the part that holds the picture, and float32 [4]: the
        factors (x, y, x, y) from coordinates in that part to coordinates in the picture.
        """
        halved, pixels_a_pixel = halve_u8(image_rgb_u8, self.size, self.size, "longer")
        height, width = halved.shape[:2]
        new_h, new_w = inside_hw(height, width, (self.size, self.size))
        small = resize_u8(halved, new_h, new_w).permute(2, 0, 1)[None]
        padding = (0, (-new_w) % self.divisor, 0, (-new_h) % self.divisor)
        padded = nn.functional.pad(self.normalise(small), padding)
        factors = corner(width, height, self.mean) / corner(new_w, new_h, self.mean) * pixels_a_pixel
        return padded, (new_h, new_w), factors

    def normalise(self, images_rgb_u8: Tensor) -> Tensor:
        """uint8 [B, 3, h, w] -> float32 [B, 3, h, w]."""
        return (images_rgb_u8.float() - self.mean) * self.scale
