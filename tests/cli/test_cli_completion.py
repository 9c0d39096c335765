"""What the Tab key offers in a shell beside commands and options."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tombola.cli.main import app


@pytest.fixture(autouse=True)
def cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    return place / "cache"


def offered(words: str) -> list[str]:
    """What bash is told for `tombola …`."""
    line = f"tombola {words}"
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_TOMBOLA_COMPLETE": "complete_bash"}
    return CliRunner().invoke(app, env=asked, prog_name="tombola").stdout.split()


def test_data_sets_and_splits() -> None:
    assert offered("data get m") == ["mnist", "mobilenet_v2"]
    assert offered("evaluate runs/mine --split t") == ["train", "test"]
    assert offered("data propose mine.toml --split v") == ["valid"]


def test_recipes_that_come_along_and_those_that_are_there() -> None:
    for path in ("mine.toml", "recipes/birds.toml", "recipes/.hidden/x.toml", "runs/mine/recipe.toml"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    assert offered("train m") == [
        "mnist-cnn",
        "mnist-lenet",
        "mnist-mlp",
        "mnist-rbm",
        "mnist-vae",
        "mine.toml",
    ]
    assert offered("search recipes/") == ["recipes/birds.toml"]
    assert offered("train ru") == ["runs/"]
    assert offered("data show runs/m") == ["runs/mine/"]


def test_keys_of_the_recipe(cache: Path) -> None:
    Path("mine.toml").write_text('task = "detect"\n')
    assert offered("train mine.toml --set roi.p") == [
        "roi.pooling=", "roi.pooled_size=", "roi.positive_share=", "roi.positive_iou=",
    ]  # fmt: skip
    Path("run").mkdir()
    Path("run/recipe.toml").write_text('task = "detect"\n')
    assert "roi.width=" in offered("train run --resume --set roi.")
    # Of many tables none can be named.
    assert not [key for key in offered("train mine.toml --set data.") if key.startswith("data.train.")]
    assert offered("train mnist-cnn --set roi.p") == []
    assert offered("train mnist-cnn --set network.g") == ["network.growth=", "network.gate_bias="]
    assert offered("train gone.toml --set network.chan") == ["network.channels="]
    # They are kept, as long as they are those of these files.
    kept = cache / "tombola" / "recipe-keys.json"
    table = json.loads(kept.read_text())
    kept.write_text(json.dumps({**table, "keys": {"detect": ["new.key"]}}))
    assert offered("train mine.toml --set ne") == ["new.key="]
    for damaged in (json.dumps({**table, "of": "other files"}), "{"):
        kept.write_text(damaged)
        assert "new.key=" not in offered("train mine.toml --set ne")
    assert json.loads(kept.read_text()) == table
