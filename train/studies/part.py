"""What a study is divided into."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Piece(Protocol):
    """One result of a study, in a folder of its own. Pieces are equal where their folders are."""

    @property
    def path(self) -> Path: ...

    @property
    def is_done(self) -> bool: ...

    def told(self) -> str:
        """What came of it, in a line, once it is done."""


class Part(Protocol):
    """What one process trains, piece after piece; it can be handed to one (pickled)."""

    @property
    def name(self) -> str: ...

    @property
    def pieces(self) -> Sequence[Piece]: ...

    def is_ready(self) -> bool:
        """Whether all that it begins from is there."""

    def train(self) -> None:
        """Train those pieces that are not done. Raises TombolaError, and Interrupted after SIGTERM."""
