"""What `tombola caption` tells of captions: sentences for people, JSON for programs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tombola.cli.table import GAP, counted, one_line, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.tasks.caption.answer import Captions


@dataclass(frozen=True)
class CaptionTelling:
    """The best caption with its score, and a table of `alternatives` more where they are asked for."""

    alternatives: int

    def headline(self, captions: "Captions") -> str:
        """The best caption and its score; of a clip how many frames were looked at."""
        best, seen = f"{captions.text} ({captions.score:.2f})", captions.places
        return best if seen is None else f"{best} over {counted(len(seen), 'frame')}"

    def lines(self, captions: "Captions", columns: int | None) -> list[str]:
        """A row for each of the next best."""
        rows = [
            (one_line(one.text), f"{one.score:.2f}") for one in captions.captions[1 : self.alternatives + 1]
        ]
        return table(("or", "score"), rows, "<>", indent=GAP, columns=columns) if rows else []

    def facts(self, captions: "Captions") -> dict[str, Any]:
        """What `Captions.to_dict` gives."""
        return captions.to_dict(self.alternatives)

    def draw(self, image_rgb_u8: "NDArray[np.uint8]", captions: "Captions") -> "NDArray[np.uint8]":
        """The picture, or the frames of a clip, with the best caption on a strip under it."""
        from tombola.runtime.tasks.caption.draw import enlarge_film, with_caption_below

        if captions.places is not None:
            image_rgb_u8 = enlarge_film(image_rgb_u8, len(captions.places))
        return with_caption_below(image_rgb_u8, captions)

    def tally(self) -> "CaptionTally":
        """An empty count."""
        return CaptionTally()


class CaptionTally:
    """For each caption of a video, how many of its frames have it."""

    def __init__(self) -> None:
        self._frames_of: dict[str, int] = {}

    def add(self, captions: "Captions") -> None:
        """Count one frame."""
        self._frames_of[captions.text] = self._frames_of.get(captions.text, 0) + 1

    def lines(self, columns: int | None) -> list[str]:
        """A row for each caption, the most frequent first."""
        texts = sorted(self._frames_of, key=lambda text: (-self._frames_of[text], text))
        rows = [(one_line(text), str(self._frames_of[text])) for text in texts]
        return table(("caption", "frames"), rows, "<>", indent=GAP, columns=columns) if rows else []
