"""How large photos should be made small: a detector's score by how its pictures were resized.

Photos are enlarged, get the noise of a sensor and JPEG on top, as phones take them, and are made small in
three ways before the model sees them: one bilinear step, exact halvings and then one such step (what Tombola
does), and the area mean of each pixel.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.metrics.average_precision import voc07_map
from tombola.train.metrics.matching import Prediction, Truth
from tombola.train.resize.bilinear import bilinear
from tombola.train.resize.fit import fit_inside, inside_hw

SIDES_PX = (400, 1000, 2000, 4000)
JPEG_QUALITY = 88
# Grey levels of standard deviation: 3 of reading, and 7 of the light itself at mid-grey, by its root.
READ_NOISE, SHOT_NOISE = 3.0, 7.0

Resize = Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]]


def plain(image_rgb_u8: NDArray[np.uint8], canvas_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """One bilinear step, whatever it skips."""
    return bilinear(image_rgb_u8, *inside_hw(image_rgb_u8.shape[0], image_rgb_u8.shape[1], canvas_hw))


def area_means(image_rgb_u8: NDArray[np.uint8], canvas_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Each pixel the mean of the area that it covers."""
    height, width = inside_hw(image_rgb_u8.shape[0], image_rgb_u8.shape[1], canvas_hw)
    return np.asarray(cv2.resize(image_rgb_u8, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


WAYS: dict[str, Resize] = {"plain bilinear": plain, "halvings": fit_inside, "area means": area_means}


def as_phone(image_rgb_u8: NDArray[np.uint8], side_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photo with a longer side of `side_px`, with a sensor's noise, written as JPEG and read again."""
    factor = side_px / max(image_rgb_u8.shape[:2])
    large = cv2.resize(image_rgb_u8, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    deviation = READ_NOISE + SHOT_NOISE * np.sqrt(large.astype(np.float32) / 128)
    noisy = large + rng.standard_normal(large.shape, dtype=np.float32) * deviation
    noisy_u8 = noisy.clip(0, 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", noisy_u8[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB), np.uint8)


def study(
    predict: Callable[[NDArray[np.uint8]], Prediction], canvas_hw: tuple[int, int], data: DetectionSet
) -> dict[tuple[int, str], float]:
    """(longer side in px, way) -> VOC07 mAP of a detector that wants pictures to fit into `canvas_hw`.

    predict: image_rgb_u8 [h, w, 3] -> Prediction in its pixels, with scores down to about 0.01.
    """
    rng = np.random.default_rng(0)
    answers: dict[tuple[int, str], list[Prediction]] = {(s, w): [] for s in SIDES_PX for w in WAYS}
    truths = []
    for index, record in enumerate(data.records):
        image_rgb_u8 = data.read(index)
        truths.append(_relative(record.boxes_xyxy, image_rgb_u8, record.labels, record.difficult))
        for side_px in SIDES_PX:
            photo = as_phone(image_rgb_u8, side_px, rng)
            for way, resize in WAYS.items():
                small = resize(photo, canvas_hw)
                found = predict(small)
                size = np.array([small.shape[1], small.shape[0]] * 2)
                answers[side_px, way].append(Prediction(found.boxes_xyxy / size, found.scores, found.labels))
    return {key: voc07_map(one, truths, data.classes).mean_average_precision for key, one in answers.items()}


def _relative(
    boxes_xyxy: NDArray[np.float32],
    image_rgb_u8: NDArray[np.uint8],
    labels: NDArray[np.int64],
    difficult: NDArray[np.bool_],
) -> Truth:
    """Boxes as shares of the picture's sides, for it will have several sizes."""
    size = np.array([image_rgb_u8.shape[1], image_rgb_u8.shape[0]] * 2)
    return Truth(boxes_xyxy / size, labels, difficult)
