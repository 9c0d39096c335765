"""A loaded detector: pictures in, boxes out."""

from typing import Any, overload

import numpy as np

from tombola.runtime.model import Model
from tombola.runtime.pictures.picture import MAX_PIXELS, Picture, PictureSource, read_picture
from tombola.runtime.tasks.detect.answer import Detections
from tombola.runtime.tasks.detect.signature import DETECT, check_detections
from tombola.runtime.tasks.difference import Arrays


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

        source: a path, the bytes of a picture file, an array uint8 [height, width, 3] or a picture of
        Pillow's; or a list of these.
        bgr:    arrays are BGR (OpenCV's order) instead of RGB.
        score_threshold: 0..1, boxes must score higher; iou_threshold: 0..1, of boxes of a class that overlap
        more only the best stays; max_detections: how many boxes at most. None is the model's own default.
        max_pixels: refuse picture files with more.

        Raises PictureError (the picture) and ModelError (an option out of range, or an answer not finite).
        """
        options = DETECT.option_feeds(
            {
                "score_threshold": score_threshold,
                "iou_threshold": iou_threshold,
                "max_detections": max_detections,
            }
        )

        def detect(one: PictureSource) -> Detections:
            return self._answer(read_picture(one, self.shrink, bgr=bgr, max_pixels=max_pixels), options)

        return [detect(one) for one in source] if isinstance(source, list | tuple) else detect(source)

    def answer(self, feeds: Arrays) -> Detections:
        return self._answer(read_picture(feeds["image"], self.shrink), feeds)

    def _answer(self, picture: Picture, options: Arrays) -> Detections:
        found = self.outputs({**options, "image": picture.image_rgb_u8})
        check_detections(found, len(self.labels))
        boxes_xyxy, scores, labels = found["boxes"], found["scores"], found["labels"]
        if picture.halvings:
            height, width = picture.size_hw
            whole_xyxy = boxes_xyxy * np.float32(2**picture.halvings)
            boxes_xyxy = np.minimum(whole_xyxy, np.array([width, height, width, height], np.float32))
        names = tuple(self.labels[label] for label in labels.tolist())
        return Detections(boxes_xyxy, scores, labels, names, picture.size_hw)
