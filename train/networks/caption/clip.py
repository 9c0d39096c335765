"""What a captioner of clips looks at: frames read one after the other by recurrent layers."""

from pydantic import Field
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, Part
from tombola.train.networks.layers.cells import CellName
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.recurrence import Recurrence
from tombola.train.recipe.recipe import Section


class ClipReaderSettings(Section):
    """The reader of clips, for picture.frames: each cell of a frame's map is brought to `channels` numbers,
    and `layers` layers of a recurrent `cell` of `units` units read those of one frame after the other, from
    both ends if `bidirectional`. Their states, one a frame, are what attention weighs. residual: each layer
    above the first hands on what it reads beside what it says."""

    channels: int = Field(default=16, ge=1, le=4096)
    cell: CellName = "gru"
    layers: int = Field(default=1, ge=1, le=16)
    units: int = Field(default=128, ge=1, le=4096)
    bidirectional: bool = True
    residual: bool = False


class ClipReader(nn.Module):
    """Maps of the frames of clips, float [P, T, C, rows, columns] -> a state a frame, [P, T, writes]: an
    encoder of sequences (Bahdanau et al. 2015, section 3.2) whose words are frames.

    A cell's place is told by where its numbers lie, so a map always has as many cells.
    """

    def __init__(self, settings: ClipReaderSettings, reads: Axis, n_cells: int, axes: Axes) -> None:
        super().__init__()
        channels = axes.new("clip.channels", settings.channels)
        self.cells = Linear(reads, channels)
        self.recurrence = Recurrence(
            settings.cell,
            (Part(channels),) * n_cells,
            settings.units,
            axes,
            layers=settings.layers,
            back=settings.bidirectional,
            residual=settings.residual,
        )
        self.writes = self.recurrence.writes

    def forward(self, maps: Tensor) -> Tensor:
        cells = self.cells(maps.flatten(3).transpose(2, 3))
        return self.recurrence(cells.flatten(2))  # type: ignore[no-any-return]
