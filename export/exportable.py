"""What can be exported: a trained network with all that its file needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from tombola.errors import ExportError
from tombola.export.parity.question import Asking, Options
from tombola.runtime.pictures.shrink import Sides


@dataclass(frozen=True)
class Exportable:
    """One network of one task.

    task:    a key of the runtime's TASKS.
    network: as trained; it is left alone.
    wrap:    makes the module that is exported, inputs and outputs as the task's signature has them, around a
             copy of the network.
    asking:  what parity is checked on and what the file carries as probes.
    labels, vocabulary, defaults: the contract's.
    input_size_hw: what the card says of the network's picture, in pixels; None where it takes none.
    input_sides: of which sides it depends that the graph halves a picture first; None where it does not.
    input_fit: whether the network sees the part in the middle ("crop") or all ("stretch"), where it tells
             where it looked; else "".
    input_frames: how many frames of a clip it looks at; None where it takes none.
    example: the inputs that the exporter traces with.
    more_inputs: which of its task's signature's the file must be fed; more_outputs: which it answers; sides:
             its numbers for those of the signature.
    parity_sizes_hw: sizes of pictures at which parity is checked beyond those of every file.
    """

    task: str
    network: nn.Module
    wrap: Callable[[Any], nn.Module]
    asking: Asking
    example: Sequence[Tensor]
    labels: Sequence[str] = ()
    vocabulary: Sequence[str] = ()
    defaults: Options | None = None
    input_size_hw: tuple[int, int] | None = None
    input_sides: Sides | None = None
    input_fit: str = ""
    input_frames: int | None = None
    more_inputs: Sequence[str] = ()
    more_outputs: Sequence[str] = ()
    sides: Mapping[str, int] = field(default_factory=dict)
    parity_sizes_hw: Sequence[tuple[int, int]] = ()


def check_width(n_classes: int, labels: Sequence[str]) -> None:
    """ExportError unless there is one label for each class that the network tells apart."""
    if len(labels) != n_classes:
        raise ExportError(f"the network knows {n_classes} classes, but {len(labels)} labels were given.")
