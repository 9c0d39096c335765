"""What a captioner's file says to a picture, or to the path of a clip, as it is scored."""

from collections.abc import Callable
from pathlib import Path

from tombola.runtime.pictures.picture import Picture
from tombola.runtime.tasks.caption.model import Captioner


def answers(model: Captioner) -> Callable[[Picture | Path], tuple[str, ...]]:
    """The words of the best caption, at the file's own options."""
    return lambda picture: model(picture).best.words
