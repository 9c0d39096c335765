"""A loaded classifier: pictures in, probabilities out."""

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.contract.contract import SUM_TOLERANCE
from tombola.runtime.model import Model
from tombola.runtime.pictures.picture import MAX_PIXELS, PictureSource, read_rgb
from tombola.runtime.tasks.classify.answer import Classification


class Classifier(Model):
    """Says which of `labels` a picture shows. Make one with `tombola.load`."""

    @overload
    def __call__(
        self, source: PictureSource, *, bgr: bool = ..., max_pixels: int = ...
    ) -> Classification: ...

    @overload
    def __call__(
        self, source: list[Any] | tuple[Any, ...], *, bgr: bool = ..., max_pixels: int = ...
    ) -> list[Classification]: ...

    def __call__(
        self,
        source: PictureSource | list[Any] | tuple[Any, ...],
        *,
        bgr: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> Classification | list[Classification]:
        """Classify one picture, or each of a list.

        source: a path, the bytes of a picture file, or an array uint8 [height, width, 3]; or a list of these.
        bgr:    arrays are BGR (OpenCV's order) instead of RGB.
        max_pixels: refuse picture files with more.

        Raises PictureError (the picture) and ModelError (an answer that is not one probability a class).
        """
        if isinstance(source, list | tuple):
            return [self._classify(read_rgb(one, bgr=bgr, max_pixels=max_pixels)) for one in source]
        return self._classify(read_rgb(source, bgr=bgr, max_pixels=max_pixels))

    def _classify(self, image_rgb_u8: NDArray[np.uint8]) -> Classification:
        probabilities = self._session.run({"image": image_rgb_u8})["probabilities"]
        if probabilities.shape != (len(self.labels),):
            raise ModelError(
                f"the model's answer is not [{len(self.labels)}], one probability for each label, but "
                f"{list(probabilities.shape)}; export it again."
            )
        if not np.isfinite(probabilities).all():
            raise ModelError(
                "the model's answer holds numbers that are not finite (NaN or infinity): "
                "its weights are damaged; export again from a good checkpoint."
            )
        total = float(probabilities.sum(dtype=np.float64))
        if probabilities.min() < 0 or abs(total - 1) > SUM_TOLERANCE:
            raise ModelError(
                f"the model's answer is not probabilities: the least is {probabilities.min():g} and "
                f"their sum {total:g}; a softmax is missing, so export it again."
            )
        height, width = image_rgb_u8.shape[:2]
        return Classification(probabilities, self.labels, (height, width))
