"""`tombola train RECIPE --preflight`: what it prints, and what its exit code says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tombola.cli.training.preflight_print import preflight_lines
from tombola.train.doctor.finding import Finding
from tombola.train.doctor.preflight import Preflight
from tombola.train.run.folder import RunFolder

Tombola = Callable[..., Result]

OK = Finding("inputs", "ok", "what reaches conv has mean 0.1 and standard deviation 1")
WARNING = Finding("handful", "warning", "the first pictures are 75% right after 40 steps")
FAULT = Finding("labels", "fault", "the labels say nothing about the pictures")
SKIPPED = Finding("augmentation", "skipped", "not examined: first mend the fault of labels")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the library was called with; `findings` is what it answers."""
    calls: dict[str, Any] = {"findings": (OK, WARNING)}

    def preflight_recipe(recipe: Path, out: Path | None, **options: Any) -> tuple[RunFolder, Preflight]:
        options.pop("say")("handful …")
        options.pop("show")("handful  step 1")
        calls.update(recipe=recipe, out=out, **options)
        return RunFolder(out or Path("runs/mine")), Preflight(calls["findings"], None, 1e-3, 7.4)

    monkeypatch.setattr("tombola.train.train.preflight_recipe", preflight_recipe)
    return calls


def test_findings_are_printed_and_the_next_command(tombola: Tombola, given: dict[str, Any]) -> None:
    result = tombola("train", "a.toml", "--preflight", "--set", "seed=1", "--device", "cpu")
    assert result.exit_code == 0
    assert result.stdout == (
        "OK        inputs: what reaches conv has mean 0.1 and standard deviation 1\n"
        "WARNING   handful: the first pictures are 75% right after 40 steps\n"
        "\n"
        "1 warning\n"
        "runs/mine: preflight.json, after 7 s\n"
        "Next: tombola train a.toml --set seed=1 --device cpu\n"
    )
    assert result.stderr == "handful …\n"
    assert (given["recipe"], given["out"], given["overrides"]) == (Path("a.toml"), None, ["seed=1"])
    assert given["device"] == "cpu"
    assert given["budget_s"] == 600


def test_the_next_command_is_the_one_that_was_typed(tombola: Tombola, given: dict[str, Any]) -> None:
    changes = ("--set", 'data.rights="my own"', "--set", "seed=1")
    result = tombola("train", "voc-detector", "--out", "my runs/a", *changes, "--preflight")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(
        "Next: tombola train voc-detector --out 'my runs/a' --set 'data.rights=\"my own\"' --set seed=1\n"
    )
    assert given["recipe"].is_file()  # the one that ships


def test_a_fault_is_exit_code_one(tombola: Tombola, given: dict[str, Any], tmp_path: Path) -> None:
    given["findings"] = (OK, FAULT, SKIPPED)
    result = tombola("train", "a.toml", "--preflight", "--out", str(tmp_path / "run"), "--quiet")
    assert result.exit_code == 1
    assert "FAULT     labels: the labels say nothing" in result.stdout
    assert "SKIPPED   augmentation: " in result.stdout
    assert "1 fault; not examined: augmentation\n" in result.stdout
    assert "Next:" not in result.stdout
    assert result.stderr == ""


def test_the_budget_is_in_minutes_and_of_the_preflight(tombola: Tombola, given: dict[str, Any]) -> None:
    assert tombola("train", "a.toml", "--preflight", "--budget", "1.5").exit_code == 0
    assert given["budget_s"] == 90
    alone = tombola("train", "a.toml", "--budget", "1")
    assert alone.exit_code == 2
    assert "add --preflight" in alone.stderr


def test_resume_does_not_go_with_it(tombola: Tombola) -> None:
    result = tombola("train", "a.toml", "--preflight", "--resume")
    assert result.exit_code == 2
    assert "leave --resume out" in result.stderr


def test_sentences_are_wrapped_under_their_level() -> None:
    result = Preflight((OK, OK), None, 1e-3, 1.0)
    lines = preflight_lines(result, 40)
    assert all(len(line) <= 40 for line in lines)
    assert lines[0].startswith("OK        inputs: what")
    assert lines[1].startswith("          ")
    assert lines[-1] == "No fault found"


def test_a_recipe_that_is_missing_is_named(tombola: Tombola, tmp_path: Path) -> None:
    result = tombola("train", str(tmp_path / "no.toml"), "--preflight", "--out", str(tmp_path / "run"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no.toml does not exist" in result.stderr
    assert not (tmp_path / "run").exists()
