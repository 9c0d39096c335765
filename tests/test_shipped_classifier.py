"""The classifier that ships: it must name what anybody sees in a drawing, and keep to its size."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import tombola
from tombola.cli.shipped import model_or_shipped
from tombola.runtime.tasks.classify.model import Classifier
from tombola.runtime.verify import verify

DRAWING = Path(__file__).parent / "photos" / "trousers.png"
MODEL = model_or_shipped(None, "classify")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return tombola.load(MODEL, device="cpu", task="classify")


def test_names_what_is_drawn(classifier: Classifier) -> None:
    answer = classifier(DRAWING)
    assert answer.name == "trouser"
    assert answer.probability > 0.5
    assert answer.probabilities.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("side_px", [28, 90, 1000])
def test_the_size_of_the_picture_does_not_matter(classifier: Classifier, side_px: int) -> None:
    image_bgr_u8 = np.asarray(cv2.imread(str(DRAWING)), np.uint8)
    sized = cv2.resize(image_bgr_u8, (side_px, side_px), interpolation=cv2.INTER_AREA)
    assert classifier(np.asarray(sized, np.uint8), bgr=True).name == "trouser"


def test_answers_as_when_it_was_made() -> None:
    report = verify(MODEL, "cpu")
    assert report.probes
    assert report.ok


def test_is_under_one_mebibyte_and_says_where_it_comes_from(classifier: Classifier) -> None:
    assert MODEL.stat().st_size < 2**20
    card = classifier.contract.card
    assert "Fashion-MNIST" in card["data"]
    assert card["licence"]
    assert card["metrics"]["test"]["pictures"] == 10_000
