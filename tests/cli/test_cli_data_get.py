"""`tombola data get`: the list, what is printed, and how it fails."""

import hashlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tombola.train.data.download import get
from tombola.train.data.download.catalogue import DATA_SETS, RemoteDataSet, RemoteFile

Tombola = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("place")

# Port 9 of this machine discards; nothing listens there.
FILE = RemoteFile("a.txt", 5, hashlib.sha256(b"hello").hexdigest(), ("http://127.0.0.1:9/a.txt",))


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    small = RemoteDataSet("small", "a word", 'free for "all"', (FILE,), 'format = "idx"\n')
    monkeypatch.setattr(get, "DATA_SETS", (small,))
    monkeypatch.setattr("tombola.train.data.download.fetch.TRIES", 1)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_the_list_names_all_with_size_and_rights(tombola: Tombola) -> None:
    result = tombola("data", "get", "--list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[1::2]] == [one.name for one in DATA_SETS]
    assert [line.strip() for line in lines[2::2]] == [one.rights for one in DATA_SETS]
    assert re.search(r"fashion-mnist +30\.9 MB +70,000 pieces of clothing", result.stdout)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("options", [(), ("--to", 'my "own" place')])
def test_files_that_are_there_are_told_as_a_recipe(tombola: Tombola, options: tuple[str, ...]) -> None:
    folder = Path(options[-1] if options else "data/small")
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("hello")
    result = tombola("data", "get", "small", *options)
    assert result.exit_code == 0
    first, _, recipe = result.stdout.partition("\n\n")
    assert first == f"small is in {folder}. In a recipe:"
    assert tomllib.loads(recipe)["data"] == {
        "root": str(folder.resolve()),
        "rights": 'free for "all"',
        "format": "idx",
    }


def test_what_cannot_be_had_is_named(tombola: Tombola) -> None:
    result = tombola("data", "get", "small")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "error: a.txt cannot be downloaded:\n  http://127.0.0.1:9/a.txt: no connection"
    )
    result = tombola("data", "get", "large")
    assert (result.exit_code, result.stderr) == (1, "error: no data set 'large' is known; there are small\n")
    result = tombola("data", "get")
    assert result.exit_code == 2
    assert "--list shows the data sets" in result.stderr
