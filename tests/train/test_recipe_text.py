"""A recipe's file: encodings, nesting, numbers beyond all limits."""

from pathlib import Path

import pytest

from tombola.errors import RecipeError
from tombola.train.recipe.recipe import read_toml
from tombola.train.tasks.table import load_recipe


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_marked_encoding_reads_the_same(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.toml").write_text('task = "détect"\n', encoding=encoding)
    assert read_toml(tmp_path / "a.toml") == {"task": "détect"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"x=" + b"[" * 10_000, "is not valid TOML"),
        (b"x=" + b"{y=" * 10_000, "is not valid TOML"),
        (b"x=" + b"[" * 100 + b"]" * 100, "nested deeper than 20 levels"),
        (b".".join([b"x"] * 40_000) + b"=1", "nested deeper than 20 levels"),
        (b"[" + b" . ".join([b"'x'"] * 40_000) + b"]", "nested deeper than 20 levels"),
        (b"x={" + b".".join([b"y"] * 40_000) + b"=1}", "nested deeper than 20 levels"),
        (b"x=" + b"9" * 5000, "is not valid TOML"),
        (b"x='\xe9'", "cannot be read: its text is not UTF-8"),
        ("x=1".encode("utf-16-le"), "cannot be read: its text holds NUL bytes"),
        (b"#" * 5_000_000, "cannot be read: it is larger than 4 MB"),
    ],
)
def test_a_damaged_recipe_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.toml").write_bytes(data)
    with pytest.raises(RecipeError, match=rf"recipe .*a\.toml .*{words}"):
        read_toml(tmp_path / "a.toml")


def test_messages_stay_short(tmp_path: Path) -> None:
    path, long = tmp_path / "a.toml", "k" * 100_000
    for text in (
        f"{long}=1",
        f'task = "{long}"',
        f'task = "detect"\n{long} = 1',
        f'task = "detect"\n[{long}]\n[{long}]',
    ):
        path.write_text(text)
        with pytest.raises(RecipeError) as told:
            load_recipe(path)
        assert len(str(told.value)) < len(str(path)) + 800


def test_damaged_overrides_are_texts_or_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("")
    for value in ("[" * 10_000, "9" * 5000):
        assert read_toml(tmp_path / "a.toml", [f"x={value}"]) == {"x": value}
    with pytest.raises(RecipeError, match="nested deeper than 20 levels"):
        read_toml(tmp_path / "a.toml", [".".join("x" * 5000) + "=1"])


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        read_toml(tmp_path)
