"""What every loaded model has, whatever its task: its contract and the device it runs on."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.pictures.picture import MAX_PIXELS, read_picture
from tombola.runtime.pictures.shrink import Shrink
from tombola.runtime.tasks.difference import Arrays

if TYPE_CHECKING:
    from tombola.runtime.clips.clip import Clip, ClipSource
    from tombola.runtime.contract.contract import Contract
    from tombola.runtime.session.session import Session

MOST_FRAMES = 32  # of a clip, for files whose card does not say


class Answer(Protocol):
    """An answer about one picture that can be drawn on it."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the upright picture, in pixels."""
        ...

    def draw(self, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a copy of the picture, uint8 [height, width, 3] RGB, with the answer on it."""
        ...


class Model(ABC):
    """A loaded file. It holds no state between calls and may be called from several threads at once.

    Pickled, it is loaded again where it is unpickled, on the device that is best there: from the same path
    (ModelError where another model is there now), or from its bytes if it was loaded from bytes.
    """

    def __init__(self, session: "Session", contract: "Contract", load_again: "Callable[[], Model]") -> None:
        self._session = session
        self._contract = contract
        self._load_again = load_again

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_again, (self._load_again, self._contract)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.labels)} classes on {self.device}>"

    @abstractmethod
    def answer(self, feeds: Arrays) -> Any:
        """The task's typed answer to named inputs, dtypes and shapes as its signature has them.

        An optional input that is left out takes the file's default. ModelError for an answer that is none.
        """

    def prepared(self, feeds: Arrays) -> Arrays:
        """The inputs as the graph gets them: a large picture, or the frames of a clip, halved where the file
        allows it, and of a clip as many as the network looks at."""
        if self.takes_clips:
            return {**feeds, "frames": self.read_clip(feeds["frames"]).frames_rgb_u8}
        if self.shrink is None:
            return feeds
        return {**feeds, "image": read_picture(feeds["image"], self.shrink).image_rgb_u8}

    @property
    def takes_clips(self) -> bool:
        """Whether the file looks at clips, and not at pictures."""
        return "frames" in self.contract.more_inputs

    def read_clip(self, source: "ClipSource", *, bgr: bool = False, max_pixels: int = MAX_PIXELS) -> "Clip":
        """The clip with as many frames as the network looks at, each halved as it asks; see `read_clip`."""
        from tombola.runtime.clips.clip import read_clip  # here, because OpenCV takes its time to load

        most = self.contract.card.get("input_frames", MOST_FRAMES)
        return read_clip(source, most, self.shrink, bgr=bgr, max_pixels=max_pixels)

    def outputs(self, feeds: Arrays) -> dict[str, NDArray[Any]]:
        """The graph's outputs by name, as they come."""
        return self._session.run(feeds)

    @property
    def contract(self) -> "Contract":
        """What the file says about itself: task, labels, default thresholds, card, probes."""
        return self._contract

    @property
    def shrink(self) -> Shrink | None:
        """How a picture may be halved before the graph gets it, for the same answer sooner; None where the
        file does not say so."""
        return self._contract.shrink

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; the index is the class's number."""
        return self._contract.labels

    @property
    def device(self) -> str:
        """The device in use: "cpu" or "cuda"."""
        return self._session.device

    @property
    def device_note(self) -> str:
        """Why the CPU is used, in words; empty on CUDA."""
        return self._session.note

    @property
    def threads(self) -> int:
        """CPU threads of one call."""
        return self._session.threads


def _load_again(load_again: Callable[[], Model], contract: "Contract") -> Model:
    model = load_again()
    if model.contract != contract:
        raise ModelError("the pickled model's file holds another model now; load that, or restore it.")
    return model
