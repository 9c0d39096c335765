"""Plain tables: alignment, narrow terminals, wide letters, hostile names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.cli.table import one_line, shorten, table, width, wrap

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


def test_columns_are_aligned() -> None:
    assert table(("label", "score"), [("cat", "0.90"), ("dining table", "0.5")], "<>", indent="  ") == [
        "  label         score",
        "  cat            0.90",
        "  dining table    0.5",
    ]


def test_no_rows_and_no_header() -> None:
    assert table(("", ""), [], "<>") == []
    assert table(("label", "score"), [], "<>") == ["label  score"]


def test_narrow_terminal_shortens_the_widest_text_and_keeps_the_figures() -> None:
    lines = table(("label", "score"), [("a very long label", "0.90"), ("cat", "0.85")], "<>", columns=16)
    assert lines == ["label      score", "a very l…   0.90", "cat         0.85"]


def test_text_is_not_shortened_below_use() -> None:
    lines = table(("label", "score"), [("a very long label", "0.90")], "<>", columns=3)
    assert lines[1] == "a ver…   0.90"


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("cat", 3), ("猫", 2), ("e\N{COMBINING ACUTE ACCENT}", 1), ("Ｗide", 5)]
)
def test_width_counts_terminal_columns(text: str, columns: int) -> None:
    assert width(text) == columns


def test_wide_letters_stay_aligned() -> None:
    lines = table(("label", "n"), [("猫", "1"), ("cat", "2")], "<>")
    assert [width(line) for line in lines] == [8, 8, 8]


@given(ANY_TEXT, st.integers(1, 20))
def test_shortened_text_fits(text: str, columns: int) -> None:
    short = shorten(text, columns)
    assert width(short) <= columns
    assert short == text or short.endswith("…")


@given(ANY_TEXT)
def test_one_line_cannot_steer_the_terminal(text: str) -> None:
    assert one_line(text).isprintable()


def test_one_line_shows_escapes_and_joins_lines() -> None:
    assert one_line("a\x1b[31m\nb\tc") == "a\\x1b[31m b c"
    assert one_line("große Katze") == "große Katze"


@given(st.lists(st.text("abc", min_size=1, max_size=9), max_size=12), st.integers(9, 40))
def test_wrapped_words_are_all_there_and_fit(words: list[str], columns: int) -> None:
    lines = wrap(" ".join(words), columns=columns)
    assert " ".join(lines).split() == words
    assert all(len(line) <= columns for line in lines)


def test_wrap_indents_each_line() -> None:
    assert wrap("one two three", indent="  ", columns=9) == ["  one two", "  three"]
    assert wrap("one two three", indent="  ") == ["  one two three"]
