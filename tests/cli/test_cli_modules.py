"""Commands without a name, started by `python -m`: help, and a line for what is wrong."""

import subprocess
from collections.abc import Callable

import pytest

Shell = Callable[..., subprocess.CompletedProcess[str]]

WRONG = {
    "ask.start_up nothing.jpg --model none.onnx": "none.onnx: no such file",
    "ask.start_up nothing.jpg": "nothing.jpg: no such file",
    "training.captions_alike nowhere none.onnx": "none.onnx: no such file",
    "training.divergences none.toml --out out": "none.toml",
    "training.handful --annotations none.json --pictures . --classes cat --out out": "none.json",
    "training.large_photos none.onnx --annotations none.json --pictures .": "none.onnx: no such file",
    "training.region_story none.toml --out out": "none.toml",
    "training.sequences --out /dev/null/out": "the folder cannot be made",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", WRONG)
def test_what_is_wrong_is_told_in_a_line(shell: Shell, command: str) -> None:
    result = shell(f"python -m tombola.cli.{command}")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert WRONG[command] in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", WRONG)
def test_each_has_help(shell: Shell, command: str) -> None:
    result = shell(f"python -m tombola.cli.{command.split()[0]} --help")
    assert result.returncode == 0
    assert "Usage: " in result.stdout
