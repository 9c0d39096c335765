"""The captioner that ships: it says a sentence, and keeps to its size."""

from pathlib import Path

import tombola
from tombola.cli.shipped import model_or_shipped
from tombola.runtime.verify import verify

MODEL = model_or_shipped(None, "caption")
PHOTOS = Path(__file__).parent / "photos"


def test_it_says_a_sentence_with_an_animal_in_it() -> None:
    captioner = tombola.load(MODEL, "cpu", task="caption")
    captions = captioner(PHOTOS / "chelsea.jpg")
    assert "dog" in captions[0].words  # a cat: it has seen hardly any
    assert not captions[0].is_cut
    assert len(captions[0].words) > 4
    assert len({caption.words for caption in captions}) == len(captions) == 5
    assert captions.attention.shape[0] >= len(captions[0].words)


def test_it_answers_as_when_it_was_made_and_says_whose_photos_it_saw() -> None:
    report = verify(MODEL, "cpu")
    assert report.probes
    assert report.ok
    assert MODEL.stat().st_size <= 12 * 2**20
    card = tombola.load(MODEL, "cpu").contract.card
    assert "non-commercial" in card["data"]
    assert card["metrics"]["test"]["pictures"] == 992
