"""`tombola generate`: sheets, single files, films, JSON, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import Result

from tests.toy_generator import full_generator, plain_generator
from tombola.cli.ask import webcam
from tombola.errors import ModelError
from tombola.runtime.load import load

Tombola = Callable[..., Result]


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.onnx").write_bytes(plain_generator())
    (tmp_path / "full.onnx").write_bytes(full_generator())
    cv2.imwrite("photo.png", np.dstack([np.array([[78, 228]], np.uint8)] * 3))
    return tmp_path / "plain.onnx"


def test_a_sheet_by_default(plain: Path, tombola: Tombola) -> None:
    done = tombola("generate", "-m", plain, "--seed", 3)
    assert (done.exit_code, done.output) == (0, "generated.png  64 pictures  on cpu\n")
    first = Path("generated.png").read_bytes()
    assert np.asarray(cv2.imread("generated.png")).shape == (8 * 3 + 2, 8 * 4 + 2, 3)
    tombola("generate", "-m", plain, "--seed", 3, "-o", "again.png")
    assert Path("again.png").read_bytes() == first
    tombola("generate", "-m", plain, "--seed", 4, "-o", "again.png")
    assert Path("again.png").read_bytes() != first


def test_each_picture_in_a_file_and_in_a_line(plain: Path, tombola: Tombola) -> None:
    done = tombola("generate", "-m", plain, "-n", 300, "--each", "out", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["picture"] for line in lines] == list(range(300))
    assert len(list(Path("out").iterdir())) == 300
    assert not Path("generated.png").exists()
    level = np.clip(round(128 + 50 * lines[299]["latents"][0]), 0, 255)
    assert np.asarray(cv2.imread(lines[299]["saved"]))[0, 0].tolist() == [level] * 3


def test_of_a_class_of_latents_and_of_a_photo(plain: Path, tombola: Tombola) -> None:
    named = tombola("generate", "-m", "full.onnx", "-n", 2, "--label", "light", "--json").stdout
    assert [json.loads(line)["name"] for line in named.splitlines()] == ["light", "light"]
    np.save("latents.npy", np.array([[-1.0, 2.0]]))
    again = json.loads(tombola("generate", "-m", plain, "--latents", "latents.npy", "--json").stdout)
    assert again["latents"] == [-1.0, 2.0]
    done = tombola("generate", "-m", "full.onnx", "--from", "photo.png", "--json", "--each", "near", "-n", 3)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["latents"] == [-1.0, 2.0]
    assert len(lines) == 3
    assert (
        "photo.png: seen as 2×1 grey pixels, taken for dark, whose reconstruction is nearest" in done.stderr
    )


def test_a_film(plain: Path, tombola: Tombola) -> None:  # noqa: ARG001
    done = tombola("generate", "-m", "full.onnx", "-n", 2, "--interpolate")
    assert "generated.gif  2 pictures" in done.stdout
    assert "of the class dark" in done.stderr
    assert len(cv2.imreadanimation("generated.gif")[1].frames) == 48


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--label", "dark"], "knows no classes"),
        (["--from", "photo.png"], "cannot encode"),
        (["--from", "missing.png"], "cannot encode"),
        (["--model", "full.onnx", "--from", "missing.png"], "missing.png"),
        (["--model", "full.onnx", "--label", "grey"], "dark, light, lightest"),
        (["--latents", "missing.npy"], "no such file"),
        (["--latents", "photo.png"], "no array that numpy.save wrote"),
        (["--latents", "wide.npy"], r"latents must be numbers [n, 2], but are float64 [1, 3]"),
        (["--latents", "object.npy"], "no array that numpy.save wrote"),
        (["--latents", "holes.npy"], "finite"),
        (["--latents", "far.npy"], "finite"),
        (["--latents", "larger-than-its-file.npy"], "no array that numpy.save wrote"),
        (["--temperature", "1e39"], "from 0 to 1000"),
        (["-o", "sheet.txt"], "'.txt' is not one of"),
        (["-o", "plain.onnx"], "would overwrite this source"),
        (["-n", "30000000"], "more than 100 million"),
        (["--interpolate", "-o", "film.png"], "a film is one of .gif"),
    ],
)
def test_what_it_refuses(plain: Path, tombola: Tombola, arguments: list[str], said: str) -> None:
    np.save("wide.npy", np.zeros((1, 3)))
    np.save("object.npy", np.array([{}]), allow_pickle=True)
    np.save("holes.npy", np.full((1, 2), np.nan))
    np.save("far.npy", np.full((1, 2), 1e300))
    told = Path("far.npy").read_bytes().replace(b"(1, 2), }" + b" " * 12, b"(1000000000000, 2), }")
    Path("larger-than-its-file.npy").write_bytes(told)
    before = plain.read_bytes()
    done = tombola("generate", *([] if "--model" in arguments else ["--model", plain]), *arguments)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert plain.read_bytes() == before
    assert not Path("generated.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "0"],
        ["--seed", "-1"],
        ["--from", "a.png", "--latents", "b.npy"],
        ["--latents", "b.npy", "-n", "2"],
        ["--from", "a.png", "--temperature", "0.5"],
        ["--interpolate", "--json"],
    ],
)
def test_a_wrong_command_line(plain: Path, tombola: Tombola, arguments: list[Any]) -> None:
    assert tombola("generate", "-m", plain, *arguments).exit_code == 2


def test_the_other_commands_take_it(plain: Path, tombola: Tombola) -> None:
    assert "input   latents  float32  [n, 2]" in tombola("inspect", plain).stdout
    assert "1 pictures compared" in tombola("verify", plain).stdout
    done = tombola("webcam", "--model", plain, "--save", "a.mp4")
    assert "a camera gives pictures" in done.stderr
    full = load("full.onnx", "cpu")
    frame = np.full((20, 40, 3), 90, np.uint8)
    assert webcam._answer(full, None)(frame).draw(frame).shape == frame.shape
    with pytest.raises(ModelError):
        webcam._answer(full, 0.5)
