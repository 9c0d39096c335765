"""`tombola search`: what it hands to the library and what it prints of the answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tombola.train.loop.loop import Interrupted
from tombola.train.metrics.score import Score
from tombola.train.search.axis import Axis
from tombola.train.search.outcome import Outcome
from tombola.train.search.point import grid
from tombola.train.search.search import Search

Tombola = Callable[..., Result]

AXES = (
    Axis("training.learning_rate", ("0.001", "0.01", "0.1")),
    Axis("training.l2", ("0", "1e-05", "0.0001")),
)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the library was given; it answers with `outcomes`, or raises `error`."""
    given: dict[str, Any] = {"error": None, "outcomes": [Outcome(grid(AXES)[4], "done", 0.9876, 3)]}

    def search_recipe(recipe: Path, axes: Any, folder: Path | None, **options: Any) -> Search:
        given.update(recipe=recipe, axes=tuple(axes), folder=folder, **options)
        options["told"]("1/9  half way")
        if given["error"] is not None:
            raise given["error"]
        return Search(Path("runs/x-search"), Score("top1", "share", True), given["outcomes"])

    monkeypatch.setattr("tombola.train.search.search.search_recipe", search_recipe)
    monkeypatch.setattr("tombola.runtime.session.threads.default_threads", lambda: 8)
    return given


ASKED = ("search", "x.toml", "--rate", "1e-3:1e-1:3", "--set-grid", "training.l2=0,1e-5,1e-4")


def test_options_reach_the_library(tombola: Tombola, library: dict[str, Any]) -> None:
    result = tombola(*ASKED, "--epochs", "2", "--set", "seed=3", "--jobs", "3", "--ray", "--stop-early")
    assert (result.exit_code, result.stderr) == (0, "1/9  half way\n")
    assert library["recipe"] == Path("x.toml")
    assert library["axes"] == AXES
    assert library["overrides"] == ["seed=3", "training.epochs=2"]
    assert {name: library[name] for name in ("folder", "jobs", "threads", "device", "ray", "stop_early")} == {
        "folder": None,
        "jobs": 3,
        "threads": 2,
        "device": "auto",
        "ray": True,
        "stop_early": True,
    }


def test_the_table_and_the_next_step(tombola: Tombola, library: dict[str, Any]) -> None:
    points = grid(AXES)
    library["outcomes"] = [
        Outcome(points[4], "done", 0.9876, 3),
        Outcome(points[1], "stopped", 0.5, 1),
        Outcome(points[8], "failed", None, None, reason="the loss is not finite"),
    ]
    result = tombola(*ASKED, "--epochs", "2", "--set", "name=my net", "--quiet")
    assert result.stderr == ""
    assert result.stdout == (
        "training.learning_rate  training.l2   top1  epoch\n"
        "                  0.01        1e-05  98.76      3\n"
        "                 0.001        1e-05  50.00      1  stopped early\n"
        "                   0.1       0.0001                failed: the loss is not finite\n"
        "\n"
        "runs/x-search: search.csv, search.png, a run folder for each point\n"
        "Next: tombola train x.toml --out runs/x-search/best --set 'name=my net' "
        "--set training.learning_rate=0.01 --set training.l2=1e-05\n"
    )


def test_a_point_that_was_trained_in_full_is_there_to_export(
    tombola: Tombola, library: dict[str, Any]
) -> None:
    run = Path("runs/x-search") / "learning_rate=0.01_l2=1e-05"
    assert tombola(*ASKED).stdout.splitlines()[-1] == f"Next: tombola export {run} -o x.onnx"
    assert library["overrides"] == []
    spaced = tombola("search", "my x.toml", *ASKED[2:]).stdout.splitlines()[-1]
    assert spaced == f"Next: tombola export {run} -o 'my x.onnx'"


@pytest.mark.parametrize(
    ("place", "lines"),
    [
        (0, ["training.learning_rate=0.001 is the lowest that was tried; better ones may lie beyond."]),
        (4, []),
        (
            8,
            [
                "training.learning_rate=0.1 is the highest that was tried; better ones may lie beyond.",
                "training.l2=0.0001 is the highest that was tried; better ones may lie beyond.",
            ],
        ),
    ],
)
def test_the_best_at_an_end_of_its_range_is_told(
    tombola: Tombola, library: dict[str, Any], place: int, lines: list[str]
) -> None:
    library["outcomes"] = [Outcome(grid(AXES)[place], "done", 0.5, 1)]
    assert tombola(*ASKED).stdout.splitlines()[4:-1] == lines


def test_a_search_without_any_score_has_failed(tombola: Tombola, library: dict[str, Any]) -> None:
    library["outcomes"] = [Outcome(point, "failed", reason="no") for point in grid(AXES)]
    result = tombola(*ASKED)
    assert result.exit_code == 1
    assert "Next" not in result.stdout


def test_an_interrupted_search_says_how_to_go_on(tombola: Tombola, library: dict[str, Any]) -> None:
    library["error"] = Interrupted("stopped with 3 points to go")
    result = tombola(*ASKED, "--quiet")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "stopped with 3 points to go; the same command goes on from there\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rate", "fast"], "training.learning_rate=fast is not understood"),
        (["--set-grid", "training.l2"], "--set-grid training.l2 has no '='"),
        (["--set-grid", "=1,2"], "has no key"),
        ([], "there is nothing to search"),
        (["--rate", "1,2"], "recipe missing.toml does not exist"),
    ],
)
def test_what_is_wrong_is_said(tombola: Tombola, options: list[str], message: str) -> None:
    result = tombola("search", "missing.toml", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
