"""A classifier of clips: each frame through a network for pictures, what it says of them through recurrent
layers."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.classify.cnn import Cnn, CnnSettings
from tombola.train.networks.classify.mlp import DropoutShare
from tombola.train.networks.layers.cells import CellName
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.recurrence import OutputRecurrence, Recurrence
from tombola.train.recipe.recipe import Section


class ClipSettings(Section):
    """Each frame goes through the network `frame`, whose last layer says `features` numbers of it; `layers`
    layers of a recurrent `cell` of `units` units read these, from both ends if `bidirectional`; residual:
    each layer above the first hands on what it reads beside what it says.

    labels "clip" names the clip, from the states after its last frame (of the way back, after its first), and
    "frame" names each frame. cell "output" is a plain one that is fed its last answer in place of its last
    state; in training the right answer. dropout acts before the last layer. truncate: gradients flow back
    through so many frames at most (truncated backpropagation through time); 0 is all.
    """

    kind: Literal["clip"]
    frame: CnnSettings = CnnSettings(blocks=((16,), (32,)), dense=())
    features: int = Field(default=64, ge=1, le=4096)
    cell: Literal[CellName, "output"] = "gru"
    layers: int = Field(default=1, ge=1, le=16)
    units: int = Field(default=64, ge=1, le=4096)
    bidirectional: bool = False
    residual: bool = False
    labels: Literal["clip", "frame"] = "clip"
    dropout: DropoutShare = 0.0
    truncate: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _output_of_each_frame(self) -> "ClipSettings":
        if self.cell == "output" and (self.labels == "clip" or self.layers > 1 or self.bidirectional):
            raise ValueError(
                'cell = "output" feeds back the answer to each frame; it needs labels = "frame", one layer '
                "and one direction"
            )
        return self


class ClipNetwork(nn.Module):
    """Frames of B clips, one clip after the other, float [N, channels, h, w] -> logits [B, n_classes], or
    [N, n_classes] where each frame has a label."""

    def __init__(
        self,
        settings: ClipSettings,
        *,
        channels: int,
        size_hw: tuple[int, int],
        n_classes: int,
        axes: Axes,
    ) -> None:
        super().__init__()
        self.of_frames = settings.labels == "frame"
        self.frame = Cnn(
            settings.frame, channels=channels, size_hw=size_hw, n_classes=settings.features, axes=axes
        )
        features = self.frame.writes
        classes = Axis("logits", n_classes, pinned=True)
        self.recurrence: Recurrence | OutputRecurrence
        if settings.cell == "output":
            self.recurrence = OutputRecurrence(features, classes, settings.units, axes)
        else:
            self.recurrence = Recurrence(
                settings.cell,
                features,
                settings.units,
                axes,
                layers=settings.layers,
                back=settings.bidirectional,
                residual=settings.residual,
                truncate=settings.truncate,
            )
        self.dropout = nn.Dropout(settings.dropout)
        self.head = Linear(self.recurrence.writes, classes)

    def forward(self, frames: Tensor, lengths: Tensor | None = None, answers: Tensor | None = None) -> Tensor:
        """lengths: int64 [B], frames of each clip; all are one clip's without. answers: int64 [N], the right
        ones, for cells that are fed them."""
        said = self.frame(frames)
        sizes: list[int] | None = None if lengths is None else lengths.tolist()
        x = _padded(said, sizes)
        if isinstance(self.recurrence, OutputRecurrence):
            right = None if answers is None else F.one_hot(answers, self.head.out_features).to(x.dtype)
            logits = self.recurrence(x, self.head, None if right is None else _padded(right, sizes))
            return _flat(logits, sizes)
        states = self.recurrence(x, sizes)
        if self.of_frames:
            return self.head(self.dropout(_flat(states, sizes)))  # type: ignore[no-any-return]
        return self.head(self.dropout(self._last(states, sizes)))  # type: ignore[no-any-return]

    def _last(self, states: Tensor, sizes: list[int] | None) -> Tensor:
        """The states of each clip after all of its frames, [B, writes]: forth at its last, back at its
        first."""
        assert isinstance(self.recurrence, Recurrence)
        forth = self.recurrence.writes[0].axis.width
        if sizes is None:
            last = states[:, -1]
        else:
            ends = torch.tensor(sizes, device=states.device) - 1
            last = states[torch.arange(len(sizes), device=states.device), ends]
        return torch.cat([last[:, :forth], states[:, 0, forth:]], 1)


def _padded(rows: Tensor, sizes: list[int] | None) -> Tensor:
    """Rows [N, …] of one sequence after the other -> [B, T, …]; rows of one sequence without `sizes`."""
    return rows[None] if sizes is None else pad_sequence(list(rows.split(sizes)), batch_first=True)


def _flat(padded: Tensor, sizes: list[int] | None) -> Tensor:
    """The way back."""
    if sizes is None:
        return padded[0]
    return torch.cat([sequence[:size] for sequence, size in zip(padded, sizes, strict=True)])


def build_clip_network(
    settings: ClipSettings,
    *,
    channels: int,
    size_hw: tuple[int, int],
    n_classes: int,
    widths: Mapping[str, int] | None = None,
) -> ClipNetwork:
    """A network with fresh weights; its last layer is `head`. Raises as `build_classifier`."""
    axes = Axes(widths)
    network = ClipNetwork(settings, channels=channels, size_hw=size_hw, n_classes=n_classes, axes=axes)
    axes.check_all_used()
    return network
