"""The detector that ships, on photos that ship: it must find what anybody sees in them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import tombola
from tombola.cli.shipped import model_or_shipped
from tombola.runtime.tasks.detect.model import Detector
from tombola.runtime.verify import verify

PHOTOS = Path(__file__).parent / "photos"
MODEL = model_or_shipped(None)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return tombola.load(MODEL, device="cpu", task="detect")


@pytest.mark.parametrize(
    ("photo", "name", "box_xyxy"),
    [
        # Drawn by hand around the animal and the person.
        ("chelsea.jpg", "cat", (0, 0, 415, 300)),
        ("astronaut.jpg", "person", (25, 0, 430, 512)),
    ],
)
def test_finds_what_is_there(
    detector: Detector, photo: str, name: str, box_xyxy: tuple[float, float, float, float]
) -> None:
    found = detector(PHOTOS / photo)
    assert found.names[0] == name
    assert found.scores[0] > 0.8
    x1, y1, x2, y2 = found.boxes_xyxy[0]
    wanted = box_xyxy
    across = min(x2, wanted[2]) - max(x1, wanted[0])
    down = min(y2, wanted[3]) - max(y1, wanted[1])
    areas = (x2 - x1) * (y2 - y1) + (wanted[2] - wanted[0]) * (wanted[3] - wanted[1])
    assert across * down / (areas - across * down) > 0.7


def test_path_bytes_rgb_and_bgr_give_the_same(detector: Detector) -> None:
    path = PHOTOS / "chelsea.jpg"
    image_bgr_u8 = np.asarray(cv2.imread(str(path)), np.uint8)
    answers = [
        detector(path),
        detector(path.read_bytes()),
        detector(np.ascontiguousarray(image_bgr_u8[..., ::-1])),
        detector(image_bgr_u8, bgr=True),
    ]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.boxes_xyxy, answers[0].boxes_xyxy)
        np.testing.assert_array_equal(answer.scores, answers[0].scores)


def test_a_mirrored_photo_gives_mirrored_boxes(detector: Detector) -> None:
    image_rgb_u8 = np.asarray(cv2.imread(str(PHOTOS / "chelsea.jpg")), np.uint8)[..., ::-1]
    width = image_rgb_u8.shape[1]
    box = detector(np.ascontiguousarray(image_rgb_u8)).boxes_xyxy[0]
    mirrored = detector(np.ascontiguousarray(image_rgb_u8[:, ::-1])).boxes_xyxy[0]
    np.testing.assert_allclose(width - mirrored[[2, 0]], box[[0, 2]], atol=0.08 * width)


def test_an_empty_picture_has_nothing_in_it(detector: Detector) -> None:
    assert len(detector(np.full((300, 400, 3), 127, np.uint8))) == 0


def test_it_answers_as_it_did_when_it_was_made() -> None:
    assert verify(MODEL, "cpu").ok


def test_its_card_says_where_it_comes_from(detector: Detector) -> None:
    card = detector.contract.card
    assert len(detector.labels) == 20
    assert "PASCAL VOC 2007" in str(card["data"])
    assert "472 pictures" in str(card["protocol"])
    assert card["licence"]
    assert card["lineage"]["ticket"]["channels"]["roi_head.0"] == [256, 192]
    assert card["metrics"]["test"]["voc07_map"] > 0.5
