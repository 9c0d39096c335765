"""Anchors: boxes of a few sizes and ratios, centred on every cell of a feature map (Ren et al. 2015, section
3.1)."""

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Layouts


class Anchors(nn.Module):
    """k = len(sizes) * len(ratios) boxes a cell of one pyramid level.

    sizes: square roots of the areas, in pixels of the network's picture. ratios: height / width.
    """

    corners_xyxy: Tensor

    def __init__(self, sizes: tuple[float, ...], ratios: tuple[float, ...], stride: int) -> None:
        super().__init__()
        self.stride = stride
        halves_hw = [(size * ratio**0.5 / 2, size / ratio**0.5 / 2) for size in sizes for ratio in ratios]
        corners = torch.tensor(
            [(-w, -h, w, h) for h, w in halves_hw], dtype=torch.float32
        )  # around the centre
        self.register_buffer("corners_xyxy", corners, persistent=False)
        self.layouts: Layouts = {"corners_xyxy": (None, None)}

    def forward(self, feature_map: Tensor) -> Tensor:
        """feature_map [B, C, H, W] -> boxes float32 [H * W * k, 4], x1 y1 x2 y2 in pixels, rows by cell then
        shape."""
        height, width = feature_map.shape[2:]
        device = feature_map.device
        y = torch.arange(height, device=device, dtype=torch.float32) + 0.5
        x = torch.arange(width, device=device, dtype=torch.float32) + 0.5
        # Products with 0 and the stride instead of stacks: a third of the nodes in an exported graph.
        along_y = y[:, None, None, None] * self.corners_xyxy.new_tensor([0, self.stride, 0, self.stride])
        along_x = x[:, None, None] * self.corners_xyxy.new_tensor([self.stride, 0, self.stride, 0])
        return (along_y + along_x + self.corners_xyxy).reshape(-1, 4)  # [H, W, k, 4] before it is flattened
