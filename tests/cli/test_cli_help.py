"""Every command's --help shows examples, and they run; shells complete the commands."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.toy_captioner import toy_captioner
from tests.toy_generator import full_generator
from tombola.cli.main import app, detect_app

Tombola = Callable[..., Result]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]

COMMANDS = [
    "detect",
    "classify",
    "generate",
    "caption",
    "webcam",
    "init",
    "recipe",
    "train",
    "search",
    "evaluate",
    "export",
    "verify",
    "inspect",
    "bench",
    "doctor",
    "data get",
    "data check",
    "data show",
]


def examples(command: str) -> Iterator[str]:
    """The lines below "Example:" in the help of `command`."""
    text = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="tombola").stdout
    block = re.search(r"^  Example:\n((?:    .+\n)+)", text, re.MULTILINE)
    assert block, f"tombola {command} --help has no example"
    return (line.strip() for line in block[1].splitlines())


def test_every_command_is_listed_with_its_help(tombola: Tombola) -> None:
    listed = re.findall(
        r"^  (\w+)  +\w.*[^.]\.?$", tombola("--help").stdout.partition("Commands:")[2], re.MULTILINE
    )
    assert listed == list(dict.fromkeys(command.split()[0] for command in COMMANDS))


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("columns", [60, 100])
def test_help_fits_the_terminal(command: str, columns: int) -> None:
    text = CliRunner().invoke(app, [*command.split(), "--help"], terminal_width=columns).stdout
    # Examples are never wrapped: they are there to be copied.
    written = re.sub(r"^  Example:\n(    .+\n)+", "", text, flags=re.MULTILINE)
    assert "Example" not in written
    assert max(map(len, written.splitlines())) <= columns


@pytest.fixture
def workshop(
    place: Path,
    picture: Callable[..., Path],
    make_classifier: Callable[..., bytes],
    classifier_text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder that holds whatever the examples name, with the slow parts of the library replaced."""
    for name in ("detector", "dense", "pruned", "int8", "voc-detector"):
        Path(f"{name}.onnx").write_bytes(Path("model.onnx").read_bytes())
    Path("fashion-mnist-classifier.onnx").write_bytes(make_classifier())
    Path("classifier.onnx").write_bytes(make_classifier(labels=("cat", "dog", "person")))
    clips = classifier_text.replace("uint8[height", "uint8[n, height").replace("3] image", "3] frames")
    clips = clips.replace("(image,", "(frames,").replace(
        "int64[2] corner_at = {0,", "int64[3] corner_at = {0, 0,"
    )
    Path("clips.onnx").write_bytes(make_classifier(text=clips, more_inputs=("frames",)))
    for name in ("generator", "fashion-mnist-generator"):
        Path(f"{name}.onnx").write_bytes(full_generator(labels=("coat", "bag", "boot")))
    for name in ("captioner", "flickr8k-captioner"):
        Path(f"{name}.onnx").write_bytes(toy_captioner())
    monkeypatch.setattr("tombola.runtime.models.__path__", ["."])
    picture("photos/a.jpg")
    picture("photos-by-class/cat/a.jpg")
    writer = cv2.VideoWriter("clip.mp4", cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (64, 48))
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    animation = cv2.Animation()
    animation.frames, animation.durations = [np.zeros((48, 64, 3), np.uint8)] * 3, [40] * 3
    cv2.imwriteanimation("clip.gif", animation)
    content: dict[str, list[dict[str, Any]]] = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 50]}],
        "categories": [{"id": n, "name": name} for n, name in enumerate(("cat", "dog", "person"), start=1)],
    }
    Path("annotations.json").write_text(json.dumps(content))
    sets = '[{ annotations = "annotations.json", pictures = "photos" }]'
    Path("recipe.toml").write_text(f'task = "detect"\n[data]\ntrain = {sets}\n')
    picture("dataset/images/a.jpg")
    Path("dataset/labels").mkdir()
    Path("dataset/labels/a.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    Path("dataset/data.yaml").write_text("train: images\nnames: [cat]\n")
    picture("VOC2007/JPEGImages/a.jpg")
    for folder in ("Annotations", "ImageSets/Main"):
        Path("VOC2007", folder).mkdir(parents=True)
    Path("VOC2007/Annotations/a.xml").write_text(
        "<annotation><filename>a.jpg</filename><object><name>cat</name><difficult>0</difficult><bndbox>"
        "<xmin>1</xmin><ymin>1</ymin><xmax>90</xmax><ymax>50</ymax></bndbox></object></annotation>"
    )
    Path("VOC2007/ImageSets/Main/train.txt").write_text("a\n")
    Path("runs/first").mkdir(parents=True)
    return place


# `train`, `export` and `webcam` need minutes or a camera; test_cli_train and test_cli_video run them.
@pytest.mark.usefixtures("workshop")
@pytest.mark.parametrize(
    "example",
    [
        line
        for command in COMMANDS
        if command not in ("init", "data show", "train", "search", "export", "webcam", "doctor", "data get")
        for line in examples(command)
        if "runs/" not in line
    ],
)
def test_examples_run(tombola: Tombola, example: str) -> None:
    program, *arguments = shlex.split(example)
    assert program == "tombola"
    result = tombola(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout


@pytest.mark.parametrize(
    "command", ["init", "train", "search", "export", "webcam", "doctor", "evaluate", "data get", "data show"]
)
def test_the_other_examples_are_understood(
    tombola: Tombola, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The command line parses: Ctrl-C comes right after, where the library would be called."""
    import importlib

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    names = (
        "tombola.train.init.first_recipe.first_recipe",
        "tombola.train.tasks.table.open_task",
        "tombola.train.train.train_recipe",
        "tombola.train.prune.reestimate.reestimate_run",
        "tombola.cli.training.preflight_print.print_preflight",
        "tombola.train.search.search.search_recipe",
        "tombola.train.download.get.get",
        "tombola.train.start.get_weights.get_weights",
        "tombola.cli.model.export.check_run",
        "tombola.export.quantize.quantize.quantize_file",
        "tombola.runtime.moving.window.check_display",
        "tombola.cli.ask.webcam.model_or_shipped",
        "tombola.cli.doctor.checkup.checkup",
        "tombola.cli.evaluate.evaluate.model_task",
    )
    # All of them first: a module that is imported in between would keep what is meant for this test alone.
    for name in names:
        importlib.import_module(name.rpartition(".")[0])
    for name in names:
        monkeypatch.setattr(name, stop)
    for line in examples(command):
        assert tombola(*shlex.split(line)[1:]).exit_code == 130, line


def test_detect_is_the_short_name(shell: Shell, place: Path) -> None:  # noqa: ARG001
    long, short = (
        shell("tombola detect photo.jpg -m model.onnx --json"),
        shell("detect photo.jpg -m model.onnx --json"),
    )
    assert long.stdout == short.stdout
    assert json.loads(short.stdout)["source"] == "photo.jpg"
    assert (
        CliRunner()
        .invoke(detect_app, ["--help"], prog_name="detect")
        .stdout.startswith("Usage: detect [OPTIONS]")
    )


def complete(shell: Shell, words: str) -> list[str]:
    """What bash would offer for `words`."""
    result = shell(
        words.split()[0],
        **{f"_{words.split()[0].upper()}_COMPLETE": "complete_bash"},
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    return result.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("tombola d", ["detect", "doctor", "data"]),
        ("tombola data ", ["get", "check", "show", "propose"]),
        ("tombola detect photo.jpg --de", ["--device"]),
        ("tombola detect photo.jpg --device c", ["cpu", "cuda"]),
        ("detect photo.jpg --thr", ["--threads"]),
    ],
)
def test_bash_completes(shell: Shell, words: str, offered: list[str]) -> None:
    assert complete(shell, words) == offered


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish", "powershell"])
def test_completion_scripts_are_shown(shell: Shell, kind: str) -> None:
    result = shell("tombola", _TOMBOLA_COMPLETE=f"source_{kind}")
    assert result.returncode == 0
    assert "_TOMBOLA_COMPLETE" in result.stdout


def test_version(tombola: Tombola) -> None:
    from importlib.metadata import version

    assert tombola("--version").stdout == f"tombola {version('tombola')}\n"


def test_no_arguments_show_the_help(tombola: Tombola) -> None:
    assert "Commands:" in tombola().output
    assert "check" in tombola("data").output
