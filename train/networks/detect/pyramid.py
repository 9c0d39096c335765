"""The neck: a feature pyramid (Lin et al. 2017), or a single map where speed is all."""

from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axis
from tombola.train.networks.layers.convolution import Conv


class FeaturePyramid(nn.Module):
    """Maps of strides 8, 16, 32 -> as many maps of `writes`, each told what the coarser ones saw.

    1×1 laterals, nearest-neighbour top-down sums, a 3×3 convolution on each level (Lin et al. 2017, section
    3). The sums of all levels are one axis, and so are the maps that the heads slide over.
    """

    def __init__(self, reads: tuple[Axis, ...], merged: Axis, writes: Axis) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(Conv(level, merged, 1) for level in reads)
        self.smooths = nn.ModuleList(Conv(merged, writes, 3, padding=1) for _ in reads)
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
    """The classic neck of Faster R-CNN: the last map alone, brought to `writes` by a 1×1
    convolution."""

    def __init__(self, reads: Axis, writes: Axis) -> None:
        super().__init__()
        self.lateral = Conv(reads, writes, 1)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [self.lateral(maps[-1]).relu()]
