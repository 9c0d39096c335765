"""From a picture of any size to what the network sees; the same arithmetic eagerly and in an exported
graph."""

import torch
from torch import Tensor, nn

from tombola.train.networks.layers.operators import resize_u8


class PictureInput(nn.Module):
    """Resize so that the longer side is `size`, pad at the bottom and right to multiples of `divisor`,
    normalise.

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

    def forward(self, image_rgb_u8: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """uint8 [H, W, 3] -> (float32 [1, 3, h', w'], (h, w) of the part that holds the picture)."""
        height, width = image_rgb_u8.shape[:2]
        longer = torch.sym_max(height, width)
        new_h = torch.sym_max(1, (height * self.size + longer // 2) // longer)
        new_w = torch.sym_max(1, (width * self.size + longer // 2) // longer)
        small = resize_u8(image_rgb_u8, new_h, new_w).permute(2, 0, 1)[None]
        padded = nn.functional.pad(
            self.normalise(small), (0, (-new_w) % self.divisor, 0, (-new_h) % self.divisor)
        )
        return padded, (new_h, new_w)

    def normalise(self, images_rgb_u8: Tensor) -> Tensor:
        """uint8 [B, 3, h, w] -> float32 [B, 3, h, w]."""
        return (images_rgb_u8.float() - self.mean) * self.scale
