"""What a command asks of a model, and what is done with each answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.clips.clip import Clip
    from tombola.runtime.model import Answer, Model
    from tombola.runtime.pictures.picture import Picture

AnswerT = TypeVar("AnswerT", bound="Answer")
ToldT = TypeVar("ToldT", contravariant=True)
HeldT = TypeVar("HeldT", covariant=True)


class Tally(Protocol[ToldT]):
    """What was seen over the frames of one video."""

    def add(self, answer: ToldT) -> None:
        """Count one frame."""
        ...

    def lines(self, columns: int | None) -> list[str]:
        """A table of what was seen, empty where nothing was."""
        ...


class Telling(Protocol[ToldT]):
    """How answers of one task are told."""

    def headline(self, answer: ToldT) -> str:
        """The answer in a few words."""
        ...

    def lines(self, answer: ToldT, columns: int | None) -> list[str]:
        """A table of the answer, empty where the headline says all."""
        ...

    def facts(self, answer: ToldT) -> dict[str, Any]:
        """The answer, JSON-ready."""
        ...

    def draw(self, image_rgb_u8: "NDArray[np.uint8]", answer: ToldT) -> "NDArray[np.uint8]":
        """A copy of the picture, or of a larger one, with the answer on it."""
        ...

    def tally(self) -> Tally[ToldT]:
        """An empty count for one video."""
        ...


@dataclass(frozen=True)
class Answered(Generic[HeldT]):
    """A picture, or the frames of a clip beside each other, with its answer. frame: its number in a video,
    from 0; saved: its annotated copy, if any."""

    path: Path
    frame: int | None
    image_rgb_u8: "NDArray[np.uint8]"
    answer: HeldT
    saved: Path | None

    @property
    def frame_suffix(self) -> str:
        """What tells a frame's files from another's."""
        return "" if self.frame is None else f"-{self.frame:06d}"


class Beside(Protocol[ToldT]):
    """What is done with answers beside telling them."""

    def add(self, told: Answered[ToldT]) -> dict[str, Any]:
        """Do it with one; what is returned stands in its line of JSON."""
        ...

    def end(self) -> None:
        """Do what is left when all sources are done."""
        ...


@dataclass(frozen=True)
class Asked(Generic[AnswerT]):
    """A loaded model, the question that the command's options make of it, and how to tell the answer.

    answer: of a picture, a frame, or a clip; and the path that it came from.
    """

    model: "Model"
    answer: "Callable[[NDArray[np.uint8] | Picture | Clip, Path], AnswerT]"
    telling: Telling[AnswerT]
    besides: Sequence[Beside[AnswerT]] = ()
