"""The body that detectors and classifiers stand on: stages in a row, of which some hand out their maps."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axis


class Stage(NamedTuple):
    """One part of a backbone: its maps are `stride` times smaller than the picture and have the channels of
    `writes`."""

    module: nn.Module
    stride: int
    writes: Axis


class Backbone(nn.Module):
    """Float [B, channels, H, W] -> the last map of each of `strides`, finest first, [B, writes, H/s, W/s].

    Without `strides`, the last stage's map alone. With sides that are no multiples of the strides the maps'
    are rounded. `stages[0]` is the stem; `writes` are the axes of the maps. Raises RecipeError for a stride
    that no stage has.
    """

    def __init__(self, stages: Sequence[Stage], strides: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.strides = strides or (stages[-1].stride,)
        last_of = {stage.stride: index for index, stage in enumerate(stages)}
        if missing := [stride for stride in self.strides if stride not in last_of]:
            there = ", ".join(map(str, last_of))
            raise RecipeError(
                f"network.backbone has maps of strides {there} and none of {missing[0]}, which the detector "
                "reads; take another backbone"
            )
        self._handed_out = tuple(last_of[stride] for stride in self.strides)
        self.writes = tuple(stages[index].writes for index in self._handed_out)
        self.stages = nn.ModuleList(stage.module for stage in stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = []
        x = images
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self._handed_out:
                maps.append(x)
        return maps
