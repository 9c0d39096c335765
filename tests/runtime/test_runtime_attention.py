"""Where a classifier looked: the toy of colours that always looks three times as much to the right."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tombola.errors import ModelError
from tombola.runtime.contract.contract import Contract, Probe
from tombola.runtime.load import load
from tombola.runtime.tasks.classify.answer import Classification
from tombola.runtime.tasks.classify.compare import ClassifyYardstick
from tombola.runtime.tasks.classify.draw import draw_attention
from tombola.runtime.verify import verify

MakeClassifier = Callable[..., bytes]
CARD = {"input_size_hw": [10, 10], "input_fit": "crop"}
PICTURE = np.full((100, 200, 3), (49, 29, 19), np.uint8)


@pytest.fixture(scope="module")
def looking(classifier_text: str) -> str:
    """The graph with a second output."""
    return (
        classifier_text.replace("probabilities)\n", "probabilities, float[rows, columns] attention)\n", 1)
        .replace("<int64[2]", "<float[1, 2] looked = {0.25, 0.75}, int64[2]")
        .replace("  corner =", "  attention = Identity (looked)\n  corner =")
    )


def make(make_classifier: MakeClassifier, text: str, probes: tuple[Probe, ...] = ()) -> bytes:
    return make_classifier(text=text, card=CARD, more_outputs=("attention",), probes=probes)


def test_attention_is_of_the_part_that_was_seen(make_classifier: MakeClassifier, looking: str) -> None:
    answer = load(make(make_classifier, looking), "cpu", task="classify")(PICTURE)
    assert answer.attention is not None
    assert answer.attention.tolist() == [[0.25, 0.75]]
    assert answer.seen == (0, 50, 100, 100)
    assert not answer.attention.flags.writeable
    heat = draw_attention(PICTURE, answer)
    # Below the name. Outside there is a quarter of the light, in the strongest cell all of it.
    assert heat[90, 10].tolist() == heat[90, 190].tolist() == [12, 7, 5]
    assert heat[90, 140].tolist() == [49, 29, 19]
    assert heat[90, 60, 0] < heat[90, 90, 0] < heat[90, 110, 0] < heat[90, 140, 0]


def test_a_plain_classifier_does_not_tell(make_classifier: MakeClassifier) -> None:
    answer = load(make_classifier(), "cpu", task="classify")(PICTURE)
    assert (answer.attention, answer.seen) == (None, None)
    with pytest.raises(ModelError, match="does not tell where it looks"):
        draw_attention(PICTURE, answer)


def test_probes_hold_attention_too(make_classifier: MakeClassifier, looking: str, tmp_path: Path) -> None:
    png = cv2.imencode(".png", PICTURE[..., ::-1])[1].tobytes()
    right = {"probabilities": [0.5, 0.3, 0.2], "attention": [[0.25, 0.75]]}
    for expected, ok in ((right, True), ({**right, "attention": [[0.3, 0.7]]}, False)):
        path = tmp_path / "looking.onnx"
        path.write_bytes(make(make_classifier, looking, (Probe(png, expected),)))
        assert verify(path, "cpu").ok is ok
    with pytest.raises(ModelError, match="must be lists named attention, probabilities"):
        make(make_classifier, looking, (Probe(png, {"probabilities": [0.5, 0.3, 0.2]}),))
    other = {"probabilities": np.array([1.0]), "attention": np.ones((2, 2))}
    assert ClassifyYardstick().differences({**other, "attention": np.ones((1, 2))}, other) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("{0.25, 0.75}", "{nan, 0.75}"), "holds NaN"),
        (("float[1, 2] looked = {0.25, 0.75}", "float[1, 0] looked = {}"), r"attention \[1, 0\]"),
        (("float[rows, columns]", "float[columns]"), "asks for the output attention"),
    ],
)
def test_attention_that_is_none_is_refused(
    make_classifier: MakeClassifier, looking: str, change: tuple[str, str], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        load(make(make_classifier, looking.replace(*change)), "cpu", task="classify")(PICTURE)


def test_a_file_answers_what_it_says(make_classifier: MakeClassifier, looking: str) -> None:
    with pytest.raises(ModelError, match="no output 'attention'"):
        load(make_classifier(text=looking), "cpu")
    with pytest.raises(ModelError, match="output attention float32"):
        load(make_classifier(more_outputs=("attention",)), "cpu")
    with pytest.raises(ModelError, match=r"tombola\.more_outputs: 'heat' is not one of attention"):
        Contract("classify", ("a", "b"), {}, more_outputs=("heat",))
    with pytest.raises(ModelError, match="input_fit must be 'crop' or 'stretch', but is 'pad'"):
        Contract("classify", ("a", "b"), {}, {"input_fit": "pad"})


def test_the_whole_picture_is_seen_where_it_is_stretched() -> None:
    attention = np.array([[1.0, 0.0]], np.float32)
    answer = Classification(np.array([1.0], np.float32), ("one",), (40, 40), attention, (0, 0, 40, 40))
    heat = draw_attention(np.full((40, 40, 3), 200, np.uint8), answer)
    rows, columns = heat.shape[:2]
    assert heat[-1, 0].tolist() == [200] * 3
    assert heat[-1, columns - 1].tolist() == [50] * 3
    assert rows == columns
