"""A loaded captioner: pictures or clips in, words out."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tombola.errors import ModelError
from tombola.runtime.model import Model
from tombola.runtime.pictures.picture import MAX_PIXELS, Picture, PictureSource, read_picture
from tombola.runtime.tasks.caption.answer import Caption, Captions
from tombola.runtime.tasks.caption.signature import CAPTION, END, END_SIGN, check_captions
from tombola.runtime.tasks.difference import Arrays

if TYPE_CHECKING:
    from tombola.runtime.clips.clip import Clip
    from tombola.runtime.contract.contract import Contract
    from tombola.runtime.session.session import Session


class Captioner(Model):
    """Says in words what a picture shows, or a clip where the file looks at clips. Make one with
    `tombola.load`."""

    def __init__(self, session: "Session", contract: "Contract", load_again: Callable[[], Model]) -> None:
        """Raises ModelError for a vocabulary that does not begin with what ends a caption."""
        super().__init__(session, contract, load_again)
        if contract.vocabulary[END] != END_SIGN:
            raise ModelError(
                f"its vocabulary begins with {contract.vocabulary[END]!r}, not with {END_SIGN!r}, which ends "
                "a caption; export the model again."
            )

    def __repr__(self) -> str:
        return f"<Captioner of {len(self.vocabulary)} words on {self.device}>"

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The words that tokens stand for, and the signs before them."""
        return self.contract.vocabulary

    @overload
    def __call__(
        self,
        source: "PictureSource | Clip",
        *,
        beam_size: int | None = ...,
        max_length: int | None = ...,
        length_power: float | None = ...,
        no_repeat: int | None = ...,
        bgr: bool = ...,
        max_pixels: int = ...,
    ) -> Captions: ...

    @overload
    def __call__(
        self,
        source: list[Any] | tuple[Any, ...],
        *,
        beam_size: int | None = ...,
        max_length: int | None = ...,
        length_power: float | None = ...,
        no_repeat: int | None = ...,
        bgr: bool = ...,
        max_pixels: int = ...,
    ) -> list[Captions]: ...

    def __call__(
        self,
        source: "PictureSource | Clip | list[Any] | tuple[Any, ...]",
        *,
        beam_size: int | None = None,
        max_length: int | None = None,
        length_power: float | None = None,
        no_repeat: int | None = None,
        bgr: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> Captions | list[Captions]:
        """Caption one picture or clip, or each of a list.

        source: a path, the bytes of a picture file, an array uint8 [height, width, 3] or a picture of
        Pillow's; where the file looks at clips (`takes_clips`) the path of an animated picture, a video or a
        folder of frames, or an array uint8 [n, height, width, 3]; or a list of these.
        beam_size: 1 … 100 captions are followed at a time, and so many are the answer; 1 takes the most
        probable word each time. max_length: 1 … 200 words at most, the end counted. length_power: 0 … 4, a
        score is the log-probability over length^length_power. no_repeat: so many words in a row are said
        only once, 0 forbids nothing. None is the model's own default.
        bgr:    arrays are BGR (OpenCV's order) instead of RGB.
        max_pixels: refuse picture files with more.

        Raises PictureError (the picture) and ModelError (an option out of range, or an answer that is none).
        """
        options = CAPTION.option_feeds(
            {
                "beam_size": beam_size,
                "max_length": max_length,
                "length_power": length_power,
                "no_repeat": no_repeat,
            }
        )

        def caption(one: Any) -> Captions:
            if self.takes_clips:
                return self._tell_clip(self.read_clip(one, bgr=bgr, max_pixels=max_pixels), options)
            return self._answer(read_picture(one, self.shrink, bgr=bgr, max_pixels=max_pixels), options)

        return [caption(one) for one in source] if isinstance(source, list | tuple) else caption(source)

    def answer(self, feeds: Arrays) -> Captions:
        if self.takes_clips:
            return self._tell_clip(self.read_clip(feeds["frames"]), feeds)
        return self._answer(read_picture(feeds["image"], self.shrink), feeds)

    def _answer(self, picture: Picture, options: Arrays) -> Captions:
        return self._captions({**options, "image": picture.image_rgb_u8}, picture.size_hw)

    def _tell_clip(self, clip: "Clip", options: Arrays) -> Captions:
        from tombola.runtime.clips.clip import spread

        captions = self._captions({**options, "frames": clip.frames_rgb_u8}, clip.size_hw)
        looked, n_frames = captions.attention[..., 0], len(clip.places)
        # The graph looks at some frames of a short clip more than once.
        is_of = np.array(spread(n_frames, looked.shape[1]))[:, None] == np.arange(n_frames)
        weights = (looked @ is_of.astype(np.float32))[..., None]
        return Captions(captions.captions, weights, clip.size_hw, clip.places)

    def _captions(self, feeds: Arrays, size_hw: tuple[int, int]) -> Captions:
        found = self.outputs(feeds)
        check_captions(found)
        tokens = found["tokens"]
        if tokens.max() >= len(self.vocabulary):
            raise ModelError(
                f"the answer has the token {tokens.max()}, but the vocabulary {len(self.vocabulary)} words; "
                "they do not belong together, so export the model again."
            )
        captions = tuple(map(self._caption, tokens.tolist(), found["scores"].tolist()))
        return Captions(captions, found["attention"][: len(captions[0].words)], size_hw)

    def _caption(self, tokens: list[int], score: float) -> Caption:
        is_cut = END not in tokens
        said = tokens if is_cut else tokens[: tokens.index(END)]
        return Caption(tuple(self.vocabulary[token] for token in said), score, is_cut)
