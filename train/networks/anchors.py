"""Anchors: boxes of a few sizes and ratios, centred on every cell of a feature map (Ren et al. 2015, section 3.1)."""

import torch
from torch import Tensor, nn


class Anchors(nn.Module):
    """k = len(sizes) * len(ratios) boxes a cell of one pyramid level.

    sizes: square roots of the areas, in pixels of the network's picture. ratios: height / width.
    """

    shapes_hw: Tensor

    def __init__(self, sizes: tuple[float, ...], ratios: tuple[float, ...], stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.per_cell = len(sizes) * len(ratios)
        shapes = [(size * ratio**0.5, size / ratio**0.5) for size in sizes for ratio in ratios]
        self.register_buffer("shapes_hw", torch.tensor(shapes, dtype=torch.float32), persistent=False)

    def forward(self, feature_map: Tensor) -> Tensor:
        """feature_map [B, C, H, W] -> boxes float32 [H * W * k, 4], x1 y1 x2 y2 in pixels, rows by cell then shape."""
        height, width = feature_map.shape[2:]
        device = feature_map.device
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * self.stride
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * self.stride
        centres_x = x[None, :, None].expand(height, width, self.per_cell)
        centres_y = y[:, None, None].expand(height, width, self.per_cell)
        half_h, half_w = self.shapes_hw[:, 0] / 2, self.shapes_hw[:, 1] / 2
        boxes = [centres_x - half_w, centres_y - half_h, centres_x + half_w, centres_y + half_h]
        return torch.stack(boxes, dim=-1).reshape(-1, 4)
