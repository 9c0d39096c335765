"""`tombola data get`: the list, what is printed, and how it fails."""

import hashlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import Result

from tombola.train.download import get
from tombola.train.download.catalogue import DATA_SETS, RemoteDataSet, RemoteFile
from tombola.train.download.weights import WEIGHTS, RemoteWeights

Tombola = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("place")

# Port 9 of this machine discards; nothing listens there.
FILE = RemoteFile("a.txt", 5, hashlib.sha256(b"hello").hexdigest(), ("http://127.0.0.1:9/a.txt",))


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    small = RemoteDataSet("small", "a word", 'free for "all"', (FILE,), 'format = "idx"\n')
    monkeypatch.setattr(get, "DATA_SETS", (small,))
    monkeypatch.setattr("tombola.train.download.fetch.TRIES", 1)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_the_list_names_all_with_size_and_rights(tombola: Tombola) -> None:
    result = tombola("data", "get", "--list")
    assert result.exit_code == 0
    *lines, _, told = result.stdout.splitlines()
    assert "SHA-256" in told
    known = [(one.name, one.rights) for one in DATA_SETS] + [(one.name, one.rights) for one in WEIGHTS]
    assert [line.split()[0] for line in lines[1::2]] == [name for name, _ in known]
    assert [line.strip() for line in lines[2::2]] == [rights for _, rights in known]
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
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "error: no 'large' is known; there are the data sets small, and the weights"
    )
    result = tombola("data", "get")
    assert result.exit_code == 2
    assert "--list shows what there is" in result.stderr


@pytest.mark.parametrize("options", [(), ("--to", "here")])
def test_weights_are_told_as_a_recipe(
    tombola: Tombola, place: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    folder = place / "here" if options else place / "cache" / "tombola" / "weights"
    folder.mkdir(parents=True)
    torch.save({"a.weight": torch.ones(2)}, folder / "a.pth")
    content = (folder / "a.pth").read_bytes()
    file = RemoteFile("a.pth", len(content), hashlib.sha256(content).hexdigest(), FILE.urls)
    one = RemoteWeights("resnet18", "a word", "CC0", file, "mean = [1, 2, 3]\n")
    monkeypatch.setattr("tombola.train.download.weights.WEIGHTS", (one,))
    result = tombola("data", "get", "resnet18", *options)
    assert result.exit_code == 0, result.stderr
    first, _, recipe = result.stdout.partition("\n\n")
    assert first.startswith("resnet18 (CC0) is ")
    path = str(folder / "resnet18.safetensors")
    expected = {"picture": {"mean": [1, 2, 3]}, "start": {"weights": path if options else "resnet18"}}
    assert tomllib.loads(recipe) == expected
    assert Path(path).is_file()
