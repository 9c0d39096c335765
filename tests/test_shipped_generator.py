"""The generator that ships: what it makes is what it was asked for, and it keeps to its size."""

import numpy as np

import tombola
from tombola.cli.shipped import model_or_shipped
from tombola.runtime.verify import verify

MODEL = model_or_shipped(None, "generate")


def test_the_classifier_takes_what_it_makes_for_what_was_asked() -> None:
    generator = tombola.load(MODEL, "cpu", task="generate")
    classifier = tombola.load(model_or_shipped(None, "classify"), "cpu", task="classify")
    right = 0
    for name in generator.labels:
        made = generator.sample(12, seed=3, label=name)
        right += sum(answer.name == name for answer in classifier([*np.repeat(made.images_u8, 3, axis=3)]))
        assert len(np.unique(made.images_u8.reshape(12, -1), axis=0)) == 12
    assert right > 90  # of 120; by chance 12


def test_it_answers_as_when_it_was_made_and_says_where_it_comes_from() -> None:
    report = verify(MODEL, "cpu")
    assert report.probes
    assert report.ok
    assert MODEL.stat().st_size < 6 * 2**20
    card = tombola.load(MODEL, "cpu").contract.card
    assert "Fashion-MNIST" in card["data"]
    assert card["metrics"]["test"]["frechet_distance"] < 1.6
