"""What a captioner's file says to a picture, as it is scored."""

from collections.abc import Callable

from tombola.runtime.pictures.picture import Picture
from tombola.runtime.tasks.caption.model import Captioner


def answers(model: Captioner) -> Callable[[Picture], tuple[str, ...]]:
    """The words of the best caption, at the file's own options."""
    return lambda picture: model(picture).best.words
