"""`--attention DIR`: where a model looked, as a picture for each source."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from tombola.cli.ask.asking import Answered, AnswerT
from tombola.cli.ask.saving import SaveFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class AttentionFolder(Generic[AnswerT]):
    """Writes what `draw` makes of each picture and its answer."""

    def __init__(
        self,
        folder: Path,
        sources: list[Path],
        draw: "Callable[[NDArray[np.uint8], AnswerT], NDArray[np.uint8]]",
    ) -> None:
        self._folder = SaveFolder(folder, sources, "--attention", "heat map")
        self._draw = draw

    def add(self, told: Answered[AnswerT]) -> dict[str, Any]:
        """Write one."""
        from tombola.runtime.pictures.output import save_picture

        stem = ("stdin" if str(told.path) == "-" else told.path.stem) + told.frame_suffix
        place = self._folder.place(stem, ".png")
        return {"attention": str(save_picture(self._draw(told.image_rgb_u8, told.answer), place))}

    def end(self) -> None:
        """Nothing is left to do."""
