"""A loaded detector: pictures in, boxes out."""

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.contract.contract import SIGNATURES, check_option
from tombola.runtime.model import Model
from tombola.runtime.pictures.picture import MAX_PIXELS, PictureSource, read_rgb
from tombola.runtime.tasks.detect.answer import Detections


class Detector(Model):
    """Finds the things of `labels` in pictures. Make one with `tombola.load`."""

    @overload
    def __call__(
        self,
        source: PictureSource,
        *,
        bgr: bool = ...,
        score_threshold: float | None = ...,
        iou_threshold: float | None = ...,
        max_detections: int | None = ...,
        max_pixels: int = ...,
    ) -> Detections: ...

    @overload
    def __call__(
        self,
        source: list[Any] | tuple[Any, ...],
        *,
        bgr: bool = ...,
        score_threshold: float | None = ...,
        iou_threshold: float | None = ...,
        max_detections: int | None = ...,
        max_pixels: int = ...,
    ) -> list[Detections]: ...

    def __call__(
        self,
        source: PictureSource | list[Any] | tuple[Any, ...],
        *,
        bgr: bool = False,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> Detections | list[Detections]:
        """Detect in one picture, or in each of a list.

        source: a path, the bytes of a picture file, or an array uint8 [height, width, 3]; or a list of these.
        bgr:    arrays are BGR (OpenCV's order) instead of RGB.
        score_threshold: 0..1, boxes must score higher; iou_threshold: 0..1, of boxes of a class that overlap
        more only the best stays; max_detections: how many boxes at most. None is the model's own default.
        max_pixels: refuse picture files with more.

        Raises PictureError (the picture) and ModelError (an option out of range, or an answer not finite).
        """
        options = _options(score_threshold, iou_threshold, max_detections)
        if isinstance(source, list | tuple):
            return [self._detect(read_rgb(one, bgr=bgr, max_pixels=max_pixels), options) for one in source]
        return self._detect(read_rgb(source, bgr=bgr, max_pixels=max_pixels), options)

    def _detect(self, image_rgb_u8: NDArray[np.uint8], options: dict[str, NDArray[Any]]) -> Detections:
        answer = self._session.run({"image": image_rgb_u8, **options})
        boxes_xyxy, scores, labels = answer["boxes"], answer["scores"], answer["labels"]
        if scores.ndim != 1 or boxes_xyxy.shape != (len(scores), 4) or labels.shape != scores.shape:
            raise ModelError(
                f"the model's answer is not [n, 4], [n] and [n] but {list(boxes_xyxy.shape)}, "
                f"{list(scores.shape)} and {list(labels.shape)}; export it again."
            )
        if not (np.isfinite(boxes_xyxy).all() and np.isfinite(scores).all()):
            raise ModelError(
                "the model's answer holds numbers that are not finite (NaN or infinity): "
                "its weights are damaged; export again from a good checkpoint."
            )
        if not np.isin(labels, np.arange(len(self.labels))).all():
            raise ModelError(
                f"the model answers with a class index outside of its {len(self.labels)} labels."
            )
        height, width = image_rgb_u8.shape[:2]
        names = tuple(self.labels[label] for label in labels.tolist())
        return Detections(boxes_xyxy, scores, labels, names, (height, width))


# onnxruntime takes an optional scalar only as a 0-d array of exactly the declared dtype.
_OPTION_DTYPES = {spec.name: np.dtype(spec.dtype) for spec in SIGNATURES["detect"].optional_inputs}


def _options(
    score_threshold: float | None, iou_threshold: float | None, max_detections: int | None
) -> dict[str, NDArray[Any]]:
    given = {
        "score_threshold": score_threshold,
        "iou_threshold": iou_threshold,
        "max_detections": max_detections,
    }
    feeds = {}
    for name, value in given.items():
        if value is not None:
            check_option(name, value)
            feeds[name] = np.array(value, _OPTION_DTYPES[name])
    return feeds
