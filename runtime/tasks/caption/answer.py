"""What a captioner says of one picture, or of one clip."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Caption:
    """One caption.

    words: in their order. score: its log-probability over length^length_power, the file's default or as
    asked; 0 is the best. is_cut: whether it was stopped at max_length, before its end.
    """

    words: tuple[str, ...]
    score: float
    is_cut: bool

    @property
    def text(self) -> str:
        """The words with blanks between, and … where the caption was cut."""
        return " ".join(self.words) + (" …" if self.is_cut else "")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: caption, score (to 0.0001) and is_cut."""
        return {"caption": self.text, "score": round(self.score, 4), "is_cut": self.is_cut}


@dataclass(frozen=True, eq=False)
class Captions:
    """What a captioner says of one picture or clip, best caption first, as many as beam_size or fewer.

    attention: float32 [words, rows, columns], read-only: for each word of the best caption, how much each
    cell of the picture mattered, 0 … 1, adding up to 1 over the cells. A cell is the picture's height over
    rows by its width over columns; of a clip it is a frame, so that attention is [words, frames, 1].
    size_hw: height and width of the upright picture, or first frame, in pixels.
    places: int64 [frames], which frames of a clip were looked at, from 0; None of a picture.
    """

    captions: tuple[Caption, ...]
    attention: NDArray[np.float32]
    size_hw: tuple[int, int]
    places: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        self.attention.setflags(write=False)

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, place: int) -> Caption:
        return self.captions[place]

    def __iter__(self) -> Iterator[Caption]:
        return iter(self.captions)

    @property
    def best(self) -> Caption:
        """The caption with the highest score."""
        return self.captions[0]

    @property
    def text(self) -> str:
        """The best caption as a text."""
        return self.best.text

    @property
    def score(self) -> float:
        """The score of the best caption."""
        return self.best.score

    def to_dict(self, alternatives: int = 0) -> dict[str, Any]:
        """JSON-ready: size_hw, and caption, score and is_cut of the best; `alternatives` holds that many
        more, where it is not 0. Of a clip `frames` are its places, and `words` are each of the best caption's
        with a weight a frame (to 0.0001)."""
        told: dict[str, Any] = {"size_hw": list(self.size_hw), **self.best.to_dict()}
        if self.places is not None:
            told["frames"] = self.places.tolist()
            told["words"] = [
                {"word": word, "weights": [round(one, 4) for one in own.ravel().tolist()]}
                for word, own in zip(self.best.words, self.attention, strict=True)
            ]
        if alternatives:
            told["alternatives"] = [one.to_dict() for one in self.captions[1 : alternatives + 1]]
        return told

    def draw(self, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a copy of the picture, uint8 [height, width, 3] RGB, with the best caption at its lower
        edge, in as many lines as it needs; as much of it as there is room for."""
        # Drawing is not needed for the answer, so it is not loaded before it is asked for.
        from tombola.runtime.tasks.caption.draw import draw_captions

        return draw_captions(image_rgb_u8, self)
