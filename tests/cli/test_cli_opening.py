"""A model that is opened before the command line is understood: guessed right, or to no harm."""

from pathlib import Path

import pytest

from tombola.cli.ask import opening as early
from tombola.cli.ask.opening import Wanted, guess, open_early, opening
from tombola.errors import ModelError


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("photo.jpg", ("detect", None, "auto", None)),
        ("photo.jpg --save out --model a.onnx", ("detect", Path("a.onnx"), "auto", None)),
        ("-m a.onnx --device=cpu --threads 2 x.png", ("detect", Path("a.onnx"), "cpu", 2)),
        ("--model=a.onnx x.png --model b.onnx", ("detect", Path("b.onnx"), "auto", None)),
        ("photo.jpg --threads two", None),
        ("photo.jpg --help", None),
        ("", None),
    ],
)
def test_what_is_asked_for_is_seen_in_the_words(words: str, wanted: Wanted | None) -> None:
    assert guess("detect", words.split()) == wanted
    assert guess("train", words.split()) is None


def test_a_wrong_guess_does_no_harm(tmp_path: Path) -> None:
    open_early("detect", ["photo.jpg", "--model", str(tmp_path / "none.onnx")])
    model = opening(("detect", None, "cpu", 1)).model()
    assert "cat" in model.labels
    assert not early._early


def test_what_was_wrong_with_a_file_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    open_early("detect", ["photo.jpg", "--device", "cpu", "--model", str(tmp_path / "none.onnx")])
    coming = opening(("detect", tmp_path / "none.onnx", "cpu", None))
    with pytest.raises(ModelError, match="no such file"):
        coming.file()
    with pytest.raises(ModelError, match="no such file"):
        coming.model()
