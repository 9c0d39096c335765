"""A large picture gets one answer: from the plain file, from the runtime that halves it before, and from the
network on the very pixels that training would draw."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tombola.export.parity.question import drawn_picture
from tombola.runtime.load import load
from tombola.runtime.pictures.picture import read_rgb
from tombola.runtime.pictures.shrink import Shrink, halve
from tombola.runtime.tasks.detect.answer import Detections
from tombola.runtime.tasks.detect.model import Detector
from tombola.train.tasks.detect.batches import _fit

SIZES_HW = [(96, 80), (300, 400), (401, 303), (1080, 1920), (2161, 1001), (5, 900)]


@pytest.fixture(scope="module")
def detector(exported: Any) -> Detector:
    return load(exported.report.path, "cpu", task="detect")


@pytest.mark.parametrize("size_hw", SIZES_HW)
def test_the_runtime_and_the_plain_file_answer_alike(
    size_hw: tuple[int, int], exported: Any, detector: Detector
) -> None:
    image = drawn_picture(size_hw)
    plain, found = exported(image, score_threshold=0.1), detector(image, score_threshold=0.1)
    assert detector.shrink == Shrink((96, 96), "longer")
    assert len(found) == len(plain["scores"]) > 3
    assert found.size_hw == size_hw
    np.testing.assert_array_equal(found.labels, plain["labels"])
    np.testing.assert_array_equal(found.scores, plain["scores"])
    np.testing.assert_allclose(found.boxes_xyxy, plain["boxes"], atol=1e-3 * max(size_hw) / 96)
    assert (found.boxes_xyxy <= np.array(size_hw[::-1] * 2)).all()


@pytest.mark.parametrize("size_hw", SIZES_HW)
def test_the_file_answers_as_the_network_on_the_pixels_of_training(
    size_hw: tuple[int, int], exported: Any, make_input: Any
) -> None:
    image, picture_input = drawn_picture(size_hw), make_input()
    canvas, factors = _fit(image, (96, 96), tuple(picture_input.mean.flatten().tolist()))
    height, width = (max(1, round(size_hw[axis] * float(factors[1 - axis]))) for axis in (0, 1))
    down, across = -(-height // 32) * 32, -(-width // 32) * 32
    pixels = torch.from_numpy(canvas[:down, :across]).permute(2, 0, 1)[None]
    thresholds = torch.tensor(0.1), torch.tensor(0.5), torch.tensor(20)
    with torch.no_grad():
        normal = picture_input.normalise(pixels)
        boxes, scores, labels = exported.network.detect(normal, (height, width), *thresholds)
    found = exported(image, score_threshold=0.1)
    assert len(found["scores"]) == len(scores)
    order = np.abs(found["boxes"][:, None] - (boxes / factors).numpy()[None]).max(axis=2).argmin(axis=0)
    same = found["labels"][order] == labels.numpy()
    # Weights stored as float16 may tip a choice between boxes that overlap; pixels that differ tip them all.
    assert same.mean() > 0.8
    near = np.abs(found["scores"][order] - scores.numpy()) < 5e-3
    assert near.mean() > 0.8


def test_a_jpeg_read_at_a_fraction_is_answered_like_its_pixels(detector: Detector, tmp_path: Any) -> None:
    image = cv2.GaussianBlur(drawn_picture((1200, 1600)), (0, 0), 8)
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    found, wanted = detector(path), detector(read_rgb(path))
    assert found.size_hw == wanted.size_hw == (1200, 1600)
    assert abs(len(found) - len(wanted)) <= 1
    assert _iou_of_best(found, wanted) > 0.9


def _iou_of_best(found: Detections, wanted: Detections) -> float:
    one, other = found[0].box_xyxy, wanted[0].box_xyxy
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def test_a_picture_halved_before_it_is_fed_gets_the_same_answer(exported: Any) -> None:
    image = drawn_picture((640, 960))
    whole, halved = exported(image), exported(halve(image, 3))
    np.testing.assert_array_equal(whole["scores"], halved["scores"])
    np.testing.assert_allclose(whole["boxes"], halved["boxes"] * 8, atol=1e-3)
