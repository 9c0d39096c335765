"""A loaded classifier: pictures or clips in, probabilities out."""

from typing import TYPE_CHECKING, Any, overload

from tombola.runtime.model import Model
from tombola.runtime.pictures.picture import MAX_PIXELS, Picture, PictureSource, read_picture
from tombola.runtime.tasks.classify.answer import Classification
from tombola.runtime.tasks.classify.signature import check_probabilities
from tombola.runtime.tasks.difference import Arrays

if TYPE_CHECKING:
    from tombola.runtime.clips.clip import Clip


class Classifier(Model):
    """Says which of `labels` a picture shows, or a clip where the file looks at clips. Make one with
    `tombola.load`."""

    @overload
    def __call__(
        self, source: "PictureSource | Clip", *, bgr: bool = ..., max_pixels: int = ...
    ) -> Classification: ...

    @overload
    def __call__(
        self, source: list[Any] | tuple[Any, ...], *, bgr: bool = ..., max_pixels: int = ...
    ) -> list[Classification]: ...

    def __call__(
        self,
        source: "PictureSource | Clip | list[Any] | tuple[Any, ...]",
        *,
        bgr: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> Classification | list[Classification]:
        """Classify one picture or clip, or each of a list.

        source: a path, the bytes of a picture file, an array uint8 [height, width, 3] or a picture of
        Pillow's; where the file looks at clips (`takes_clips`) the path of an animated picture, a video or a
        folder of frames, or an array uint8 [n, height, width, 3]; or a list of these.
        bgr:    arrays are BGR (OpenCV's order) instead of RGB.
        max_pixels: refuse picture files with more.

        Raises PictureError (the picture) and ModelError (an answer that is not one probability a class).
        """

        def classify(one: Any) -> Classification:
            if self.takes_clips:
                return self._name_clip(self.read_clip(one, bgr=bgr, max_pixels=max_pixels))
            return self._answer(read_picture(one, self.shrink, bgr=bgr, max_pixels=max_pixels))

        return [classify(one) for one in source] if isinstance(source, list | tuple) else classify(source)

    def answer(self, feeds: Arrays) -> Classification:
        if self.takes_clips:
            return self._name_clip(self.read_clip(feeds["frames"]))
        return self._answer(read_picture(feeds["image"], self.shrink))

    def _name_clip(self, clip: "Clip") -> Classification:
        found = self.outputs({"frames": clip.frames_rgb_u8})
        check_probabilities(found, len(self.labels))
        rows = found.get("frame_probabilities")
        return Classification(
            found["probabilities"], self.labels, clip.size_hw, frame_probabilities=rows, places=clip.places
        )

    def _answer(self, picture: Picture) -> Classification:
        found = self.outputs({"image": picture.image_rgb_u8})
        check_probabilities(found, len(self.labels))
        return Classification(
            found["probabilities"],
            self.labels,
            picture.size_hw,
            found.get("attention"),
            self._seen(picture.size_hw) if "attention" in found else None,
        )

    def _seen(self, size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, height and width in pixels of the part of a picture that the network sees."""
        height, width = size_hw
        card = self.contract.card
        if card.get("input_fit", "stretch") == "stretch" or "input_size_hw" not in card:
            return 0, 0, height, width
        rows, columns = card["input_size_hw"]
        part_h = min(height, max(1, width * rows // columns))
        part_w = min(width, max(1, height * columns // rows))
        return (height - part_h) // 2, (width - part_w) // 2, part_h, part_w
