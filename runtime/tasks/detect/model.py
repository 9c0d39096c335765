"""A loaded detector: pictures in, boxes out."""

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError
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
        proposals_xyxy: NDArray[np.float32] | None = ...,
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
        proposals_xyxy: NDArray[np.float32] | None = None,
        bgr: bool = False,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> Detections | list[Detections]:
        """Detect in one picture, or in each of a list.

        source: a path, the bytes of a picture file, an array uint8 [height, width, 3] or a picture of
        Pillow's; or a list of these.
        proposals_xyxy: float32 [k, 4] in pixels of the one picture, for the files that are given
        proposals, and for no others.
        bgr:    arrays are BGR (OpenCV's order) instead of RGB.
        score_threshold: 0..1, boxes must score higher; iou_threshold: 0..1, of boxes of a class that overlap
        more only the best stays; max_detections: how many boxes at most. None is the model's own default.
        max_pixels: refuse picture files with more.

        Raises PictureError (the picture) and ModelError (an option out of range, proposals missing or
        wrong, or an answer not finite).
        """
        options = DETECT.option_feeds(
            {
                "score_threshold": score_threshold,
                "iou_threshold": iou_threshold,
                "max_detections": max_detections,
            }
        )

        def detect(one: PictureSource) -> Detections:
            picture = read_picture(one, self.shrink, bgr=bgr, max_pixels=max_pixels)
            return self._answer(picture, proposals_xyxy, options)

        return [detect(one) for one in source] if isinstance(source, list | tuple) else detect(source)

    def answer(self, feeds: Arrays) -> Detections:
        options = {name: array for name, array in feeds.items() if name != "proposals"}
        return self._answer(read_picture(feeds["image"], self.shrink), feeds.get("proposals"), options)

    def prepared(self, feeds: Arrays) -> Arrays:
        if "proposals" not in feeds:
            return super().prepared(feeds)
        picture = read_picture(feeds["image"], self.shrink)
        return {**feeds, **self._given(picture, feeds["proposals"]), "image": picture.image_rgb_u8}

    def _given(self, picture: Picture, proposals_xyxy: NDArray[np.float32] | None) -> Arrays:
        """The input of that name in pixels of the picture as it is fed; none for files that have no such
        input."""
        takes = "proposals" in self.contract.more_inputs
        if proposals_xyxy is None and not takes:
            return {}
        if proposals_xyxy is None:
            raise ModelError(
                "this detector is a Fast R-CNN, which must be given proposals; search the pictures with "
                "`tombola data propose PICTURES --out FILE` and give them by --proposals FILE "
                "(proposals_xyxy in Python)."
            )
        if not takes:
            raise ModelError("this detector makes its own proposals; leave --proposals (proposals_xyxy) out.")
        given = np.asarray(proposals_xyxy)
        if (
            given.dtype != np.float32
            or given.ndim != 2
            or given.shape[1] != 4
            or not np.isfinite(given).all()
        ):
            raise ModelError(
                f"proposals: must be finite float32 [k, 4], but are {given.dtype} {list(given.shape)}."
            )
        return {"proposals": given / np.float32(2**picture.halvings)}

    def _answer(
        self, picture: Picture, proposals_xyxy: NDArray[np.float32] | None, options: Arrays
    ) -> Detections:
        given = self._given(picture, proposals_xyxy)
        found = self.outputs({**options, **given, "image": picture.image_rgb_u8})
        check_detections(found, len(self.labels))
        boxes_xyxy, scores, labels = found["boxes"], found["scores"], found["labels"]
        if picture.halvings:
            height, width = picture.size_hw
            whole_xyxy = boxes_xyxy * np.float32(2**picture.halvings)
            boxes_xyxy = np.minimum(whole_xyxy, np.array([width, height, width, height], np.float32))
        names = tuple(self.labels[label] for label in labels.tolist())
        return Detections(boxes_xyxy, scores, labels, names, picture.size_hw)
