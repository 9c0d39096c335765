"""Texts in the encodings that tools save, and numbers, whole numbers and flags as they write them."""

import codecs
from pathlib import Path

import pytest

from tombola.train.data.text import flag, listed, number, quoted, whole
from tombola.train.recipe.text_file import read_text

TEXT = "cat\r\ndög\rcow\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
    ],
)
def test_every_marked_encoding_reads_the_same(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    assert read_text(tmp_path / "a", 1000) == "cat\ndög\ncow\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (TEXT.encode("latin-1"), "not UTF-8: byte 0xf6 at 6; save it as UTF-8"),
        ("cat".encode("utf-16-le"), "NUL bytes"),
        (b"\xff\xfea", "not UTF-16"),
        (b"x" * 2_000_001, "larger than 2 MB"),
    ],
)
def test_another_encoding_is_refused_by_name(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError, match=words):
        read_text(tmp_path / "a", 2_000_000)


@pytest.mark.parametrize("value", [1, True, 1.0, "1", "1.0", "true", " True ", "YES", "y", "on"])
def test_words_for_true(value: object) -> None:
    assert flag(value) is True


@pytest.mark.parametrize(
    "value", [None, 0, False, 0.0, "0", "0.0", "False", "no", "N", "off", "", "none", "Unspecified"]
)
def test_words_for_false(value: object) -> None:
    assert flag(value) is False


@pytest.mark.parametrize("value", ["maybe", 2, -1, 0.5, [], {}, [1], "00", float("nan")])
def test_other_flags_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is neither true nor false"):
        flag(value)


def test_a_flag_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="a number of thousands of digits is neither true nor false"):
        flag(10**5000)


def test_whole_numbers_in_any_notation() -> None:
    value: object
    for value in (3, 3.0, "3", " 3 ", "3.0", "3e0", "0.3e1", "0003"):
        assert whole(value) == 3
    for value in (-1, "-1", 0.5, "0.5", "nan", "inf", "1_0", "cat", "", None, True, [3], 10**400, "9" * 5000):
        with pytest.raises(ValueError, match="is not a whole number from 0"):
            whole(value)


def test_numbers_and_what_is_none() -> None:
    assert [number(value) for value in (1, 1.5, "1.5", "-2e1")] == [1, 1.5, 1.5, -20]
    value: object
    for value in ("1,5", "1_0", True, None, {}, "0x10", 10**400):
        with pytest.raises(ValueError, match="is not a number"):
            number(value)


def test_what_a_message_quotes_is_short() -> None:
    assert quoted("cat") == "'cat'"
    deep: list[object] = []
    for _ in range(3000):
        deep = [deep]
    for value in ("x" * 10**6, [1] * 10**6, {str(key): 1 for key in range(1000)}, deep, 10**5000, [10**5000]):
        assert len(quoted(value)) < 120
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == "(none)"
    assert listed(list("abcdef"), 2) == "a, b and 4 more"
