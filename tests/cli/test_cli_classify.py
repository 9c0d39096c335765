"""`tombola classify`: output, options, saved copies, videos, and files of the other task."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import Result

from tombola.runtime.contract.contract import Probe
from tombola.runtime.tasks.classify.answer import Classification

Tombola = Callable[..., Result]
WITH_MODEL = ("--model", "colours.onnx", "--device", "cpu")


@pytest.fixture(autouse=True)
def studio(place: Path, make_classifier: Callable[..., bytes]) -> Path:
    """The current folder with `colours.onnx`, which says red 0.5, green 0.3, blue 0.2 of `dress.png`."""
    image_bgr_u8 = np.full((100, 200, 3), (19, 29, 49), np.uint8)
    cv2.imwrite("dress.png", image_bgr_u8)
    expected = {"probabilities": [0.5, 0.3, 0.2]}
    Path("colours.onnx").write_bytes(
        make_classifier(probes=(Probe(Path("dress.png").read_bytes(), expected),))
    )
    return place


def steady(text: str) -> str:
    """`text` with the times taken out, which differ at every run."""
    return re.sub(r"[\d.]+ (ms|frames/s) on", r"T \1 on", text)


def clip(path: str, frames: int = 6) -> None:
    """Half of the frames red, half blue."""
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (160, 120))
    for index in range(frames):
        writer.write(np.full((120, 160, 3), (220, 20, 20) if 2 * index < frames else (20, 20, 220), np.uint8))
    writer.release()


def test_a_table_of_the_best_classes(tombola: Tombola) -> None:
    result = tombola("classify", "dress.png", *WITH_MODEL)
    assert (result.exit_code, result.stderr) == (0, "")
    assert steady(result.stdout) == (
        "dress.png  200×100  red 0.500  T ms on cpu\n"
        "  name   probability\n"
        "  red          0.500\n"
        "  green        0.300\n"
        "  blue         0.200\n"
    )


@pytest.mark.parametrize(
    ("top", "names"), [("1", []), ("2", ["red", "green"]), ("9", ["red", "green", "blue"])]
)
def test_top_says_how_many(tombola: Tombola, top: str, names: list[str]) -> None:
    shown = tombola("classify", "dress.png", *WITH_MODEL, "--top", top).stdout
    assert [line.split()[0] for line in shown.splitlines()[2:]] == names
    told = json.loads(tombola("classify", "dress.png", *WITH_MODEL, "--top", top, "--json").stdout)
    assert [one["name"] for one in told["classes"]] == (names or ["red"])


def test_one_line_of_json_for_each_picture(tombola: Tombola) -> None:
    result = tombola("classify", "dress.png", "photo.jpg", *WITH_MODEL, "--json", "--save", "out", "-k", "1")
    first, second = [json.loads(line) for line in result.stdout.splitlines()]
    assert first == {
        "source": "dress.png",
        "saved": str(Path("out/dress.png")),
        "size_hw": [100, 200],
        "classes": [{"name": "red", "label": 0, "probability": 0.5}],
    }
    assert (second["source"], second["classes"][0]["probability"]) == ("photo.jpg", 0.333333)


def test_saved_copies_have_the_name_in_the_corner(tombola: Tombola) -> None:
    cv2.imwrite("tiny.png", np.full((7, 9, 3), (19, 29, 49), np.uint8))
    result = tombola("classify", "dress.png", "tiny.png", *WITH_MODEL, "--save", "out")
    assert result.exit_code == 0
    assert f"-> {Path('out/dress.png')}" in result.stdout.splitlines()[0]
    copy, source = cv2.imread("out/dress.png"), cv2.imread("dress.png")
    assert copy is not None
    assert source is not None
    assert copy.shape == source.shape
    assert (copy[2, 2] != source[2, 2]).any()
    assert (copy[50:] == source[50:]).all()
    large = cv2.imread("out/tiny.png")
    assert large is not None
    height, width = large.shape[:2]
    assert (height % 7, width % 9, height // 7, height > 7) == (0, 0, width // 9, True)
    assert (large[2, 2] != (19, 29, 49)).any()
    assert (large[-1, -1] == (19, 29, 49)).all()


def test_a_video_is_summed_up(tombola: Tombola) -> None:
    clip("clip.avi")
    result = tombola("classify", "clip.avi", *WITH_MODEL, "--save", "out")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"note: {Path('out/clip.avi')} does not play in a browser")
    assert result.stderr.count("\n") == 1
    first, *rows = steady(result.stdout).splitlines()
    assert (
        first == f"clip.avi  160×120  6 frames  T frames/s on cpu  -> {Path('out/clip.avi')}, without sound"
    )
    assert rows[0] == "  name  frames  best probability"
    assert [row.split()[:2] for row in rows[1:]] == [["blue", "3"], ["red", "3"]]
    lines = [
        json.loads(line)
        for line in tombola("classify", "clip.avi", *WITH_MODEL, "--json").stdout.splitlines()
    ]
    assert [(line["frame"], line["classes"][0]["name"]) for line in lines] == [
        (index, "blue" if index < 3 else "red") for index in range(6)
    ]


def test_one_bad_source_is_named_and_the_others_are_done(tombola: Tombola) -> None:
    result = tombola("classify", "gone.png", "dress.png", *WITH_MODEL, "--top", "1")
    assert result.exit_code == 1
    assert result.stderr == "error: gone.png: no such file.\n"
    assert steady(result.stdout) == "dress.png  200×100  red 0.500  T ms on cpu\n1 done, 1 failed\n"


def test_a_label_cannot_steer_the_terminal(tombola: Tombola, make_classifier: Callable[..., bytes]) -> None:
    Path("evil.onnx").write_bytes(make_classifier(labels=("red\x1b[2J", "green", "blue")))
    assert "\x1b" not in tombola("classify", "dress.png", "-m", "evil.onnx", "--save", "out").output


def test_the_model_that_ships_is_the_default(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    from tombola.runtime import models

    monkeypatch.setattr(models, "__path__", ["."])
    missing = tombola("classify", "dress.png")
    assert missing.exit_code == 1
    assert missing.stderr.startswith("error: no model ships with this installation (fashion-mnist-classifier")
    Path("colours.onnx").rename("fashion-mnist-classifier.onnx")
    assert tombola("classify", "dress.png").exit_code == 0


def test_a_file_of_the_other_task_names_the_right_command(tombola: Tombola) -> None:
    wrong = tombola("classify", "dress.png", "--model", "model.onnx")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith(
        "error: model.onnx: its task is detect, not classify; run it with `tombola detect`"
    )
    wrong = tombola("detect", "dress.png", "--model", "colours.onnx")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "run it with `tombola classify`" in wrong.stderr


@pytest.mark.parametrize(
    "options", [["--top", "0"], ["--score", "0.5"], ["--device", "tpu"], ["--max-pixels", "0"]]
)
def test_a_wrong_command_line_is_exit_2(tombola: Tombola, options: list[str]) -> None:
    assert tombola("classify", "dress.png", *options, "--model", "colours.onnx").exit_code == 2


def test_inspect_and_bench(tombola: Tombola) -> None:
    shown = tombola("inspect", "colours.onnx").stdout
    assert "  task     classify\n  labels   3: red, green, blue\n" in shown
    assert "  output  probabilities  float32  [classes]\n" in shown
    told = json.loads(tombola("inspect", "colours.onnx", "--json").stdout)
    assert (told["task"], told["defaults"]) == ("classify", {})
    measured = tombola(
        "bench", "colours.onnx", "--rounds", "1", "--size", "64x48", "--device", "cpu", "--json"
    )
    assert json.loads(measured.stdout)["latency_p50_ms"] > 0


def test_the_table_of_verify_fits_a_narrow_terminal(
    tombola: Tombola, make_classifier: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Probe(Path("dress.png").read_bytes(), {"probabilities": [0.5, 0.3, 0.2]})
    long = make_classifier(labels=("red " * 30, "green", "blue"), probes=(probe,))
    Path("long.onnx").write_bytes(long)
    monkeypatch.setattr("tombola.cli.model.verify.terminal_columns", lambda: 80)
    assert max(map(len, tombola("verify", "long.onnx", "--device", "cpu").stdout.splitlines()[:2])) <= 80


def test_verify(tombola: Tombola, make_classifier: Callable[..., bytes]) -> None:
    result = tombola("verify", "colours.onnx", "--device", "cpu")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "  probe  expected   found      probabilities off  result"
    assert lines[1].split()[:5] == ["200×100", "red", "0.500", "red", "0.500"]
    assert lines[1].endswith("  ok")
    assert lines[2].endswith(
        "answers on cpu as it did when it was made: 3 probabilities compared (allowed: probabilities 0.001)"
    )
    probe = Probe(Path("dress.png").read_bytes(), {"probabilities": [0.2, 0.3, 0.5]})
    Path("off.onnx").write_bytes(make_classifier(probes=(probe,)))
    result = tombola("verify", "off.onnx", "--device", "cpu")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "200×100: off: probabilities by 0.3 (allowed is 0.001)"
    assert result.stderr == "error: off.onnx: 1 of 1 answers differ on cpu; copy or export it again\n"


class RedCamera:
    """A camera that sends red pictures."""

    def __init__(self, _index: int) -> None:
        pass

    def __enter__(self) -> "RedCamera":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        for _ in range(3):
            yield np.full((120, 160, 3), (220, 20, 20), np.uint8)


def test_webcam(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Classification] = []

    def show(frames: Iterator[Any], answer: Callable[[Any], Classification]) -> int:
        shown.extend(answer(frame) for frame in frames)
        return len(shown)

    monkeypatch.setattr("tombola.runtime.moving.camera.Camera", RedCamera)
    monkeypatch.setattr("tombola.runtime.moving.window.check_display", lambda: None)
    monkeypatch.setattr("tombola.runtime.moving.window.show", show)
    assert tombola("webcam", *WITH_MODEL).stdout == "3 frames shown on cpu\n"
    assert [found.name for found in shown] == ["red"] * 3
    result = tombola("webcam", *WITH_MODEL, "--save", "seen.avi")
    assert re.sub(r"[\d.]+ s,", "T s,", result.stdout) == "seen.avi: T s, 3 frames seen on cpu\n"
    refused = tombola("webcam", *WITH_MODEL, "--score", "0.5")
    assert refused.exit_code == 1
    assert (
        refused.stderr
        == "error: --score 0.5: is for detectors, and the model is a classifier; leave it out.\n"
    )


def test_help_imports_not_even_the_runtime() -> None:
    import subprocess
    import sys

    code = (
        "import sys, tombola.cli.ask.classify; "
        "print([m for m in ('numpy', 'cv2', 'onnxruntime', 'torch', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_heat_maps_are_written_where_a_model_tells(
    tombola: Tombola, studio: Path, make_classifier: Callable[..., bytes], classifier_text: str
) -> None:
    result = tombola("classify", "dress.png", "--attention", "heat", *WITH_MODEL)
    assert result.exit_code == 1
    assert "the model does not tell where it looks; train one with network.pooling" in result.stderr
    assert not (studio / "heat").exists()
    text = (
        classifier_text.replace("probabilities)\n", "probabilities, float[rows, columns] attention)\n", 1)
        .replace("<int64[2]", "<float[1, 2] looked = {0.25, 0.75}, int64[2]")
        .replace("  corner =", "  attention = Identity (looked)\n  corner =")
    )
    Path("colours.onnx").write_bytes(make_classifier(text=text, more_outputs=("attention",)))
    result = tombola("classify", "dress.png", "--attention", "heat", "--json", *WITH_MODEL)
    assert (result.exit_code, json.loads(result.stdout)["attention"]) == (0, "heat/dress.png")
    heat = cv2.imread("heat/dress.png")
    assert heat is not None
    assert heat[90, 190].tolist() == [19, 29, 49]
