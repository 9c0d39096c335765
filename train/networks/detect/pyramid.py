"""The neck: a feature pyramid (Lin et al. 2017), or a single map where speed is all."""

from torch import Tensor, nn
from torch.nn import functional as F


class FeaturePyramid(nn.Module):
    """Maps of strides 8, 16, 32 -> as many maps of `channels`, each told what the coarser ones saw.

    1×1 laterals, nearest-neighbour top-down sums, a 3×3 convolution on each level (Lin et al. 2017, section
    3).
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in in_channels)
        self.smooths = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels)
        for module in [*self.laterals, *self.smooths]:
            assert isinstance(module, nn.Conv2d)
            nn.init.kaiming_uniform_(module.weight, a=1)
            assert module.bias is not None
            nn.init.zeros_(module.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        laterals = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        merged = [laterals[-1]]
        for finer in reversed(laterals[:-1]):
            merged.insert(0, finer + F.interpolate(merged[0], scale_factor=2.0, mode="nearest"))
        return [smooth(x) for smooth, x in zip(self.smooths, merged, strict=True)]


class SingleMap(nn.Module):
    """The classic neck of Faster R-CNN: the last map alone, brought to `channels` by a 1×1
    convolution."""

    def __init__(self, in_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(in_channels[-1], channels, 1)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [self.lateral(maps[-1]).relu()]
