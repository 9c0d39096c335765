"""`tombola detect` on pictures: output, options, saved copies, bad sources."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import Result

Tombola = Callable[..., Result]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]
Picture = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("place")

WITH_MODEL = ("--model", "model.onnx", "--device", "cpu")


def steady(text: str) -> str:
    """`text` with the times taken out, which differ at every run."""
    return re.sub(r"[\d.]+ (ms|frames/s) on", r"T \1 on", text)


def pixels(path: str | Path) -> NDArray[np.int64]:
    return np.asarray(cv2.imread(str(path)), np.int64)


def test_a_table_in_source_pixels(tombola: Tombola) -> None:
    result = tombola("detect", "photo.jpg", *WITH_MODEL)
    assert (result.exit_code, result.stderr) == (0, "")
    assert steady(result.stdout) == (
        "photo.jpg  200×100  2 found  T ms on cpu\n"
        "  name  score   x1  y1   x2   y2\n"
        "  cat    0.90    0   0  100   50\n"
        "  dog    0.60  100  50  200  100\n"
    )
    assert sorted(path.name for path in Path().iterdir()) == ["model.onnx", "photo.jpg"]


def test_nothing_found_prints_no_table(tombola: Tombola) -> None:
    result = tombola("detect", "photo.jpg", *WITH_MODEL, "--score", "0.95")
    assert result.exit_code == 0
    assert steady(result.stdout) == "photo.jpg  200×100  0 found  T ms on cpu\n"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["cat", "dog"]),
        (["--score", "0.7"], ["cat"]),
        (["--score", "0.2"], ["cat", "dog"]),
        (["--score", "0.2", "--iou", "0.9"], ["cat", "dog", "person"]),
        (["--score", "0.2", "--iou", "0.9", "--max", "1"], ["cat"]),
    ],
)
def test_options_reach_the_model(tombola: Tombola, options: list[str], names: list[str]) -> None:
    result = tombola("detect", "photo.jpg", *WITH_MODEL, "--json", *options)
    assert [found["name"] for found in json.loads(result.stdout)["detections"]] == names


def test_one_line_of_json_for_each_picture(tombola: Tombola, picture: Picture) -> None:
    picture("folder/b.png", 20, 10)
    result = tombola("detect", "photo.jpg", "folder", *WITH_MODEL, "--json", "--save", "out")
    first, second = [json.loads(line) for line in result.stdout.splitlines()]
    assert first == {
        "source": "photo.jpg",
        "saved": str(Path("out/photo.jpg")),
        "size_hw": [100, 200],
        "detections": [
            {"box_xyxy": [0.0, 0.0, 100.0, 50.0], "score": 0.9, "label": 0, "name": "cat"},
            {"box_xyxy": [100.0, 50.0, 200.0, 100.0], "score": 0.6, "label": 1, "name": "dog"},
        ],
    }
    assert (second["source"], second["size_hw"]) == (str(Path("folder/b.png")), [10, 20])


def test_saved_copies_have_boxes_and_the_source_is_untouched(tombola: Tombola) -> None:
    before = Path("photo.jpg").read_bytes()
    result = tombola("detect", "photo.jpg", *WITH_MODEL, "--save", "deep/out")
    assert steady(result.stdout).splitlines()[0] == (
        f"photo.jpg  200×100  2 found  T ms on cpu  -> {Path('deep/out/photo.jpg')}"
    )
    assert Path("photo.jpg").read_bytes() == before
    copy, source = pixels("deep/out/photo.jpg"), pixels("photo.jpg")
    assert copy.shape == source.shape
    # The first box's left side runs through (0, 25); nothing is drawn outside of the two boxes.
    assert np.abs(copy[25, 0] - source[25, 0]).max() > 40
    assert np.abs(copy[80, 40] - source[80, 40]).max() < 5


def test_two_sources_of_one_name_get_two_copies(tombola: Tombola, picture: Picture) -> None:
    for folder, width in (("a", 40), ("b", 60), ("c", 80)):
        picture(f"{folder}/Photo.png" if folder == "c" else f"{folder}/photo.png", width)
    assert tombola("detect", "a", "b", "c", *WITH_MODEL, "--save", "out").exit_code == 0
    assert {path.name: pixels(path).shape[1] for path in Path("out").iterdir()} == {
        "photo.png": 40,
        "photo-2.png": 60,
        "Photo-3.png": 80,
    }


def test_a_second_run_replaces_the_copies_of_the_first(tombola: Tombola) -> None:
    for _ in range(2):
        assert tombola("detect", "photo.jpg", *WITH_MODEL, "--save", "out").exit_code == 0
    assert [path.name for path in Path("out").iterdir()] == ["photo.jpg"]


def test_a_source_named_twice_is_done_once(tombola: Tombola) -> None:
    result = tombola("detect", "photo.jpg", "*.jpg", *WITH_MODEL, "--json")
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize("source", ["photo.jpg", "a/photo.jpg"])
def test_no_source_is_ever_overwritten(tombola: Tombola, picture: Picture, source: str) -> None:
    picture("a/photo.jpg", 60)
    before = Path("photo.jpg").read_bytes()
    result = tombola("detect", source, "photo.jpg", *WITH_MODEL, "--save", ".")
    assert result.exit_code == 1
    assert "error: photo.jpg: the annotated copy would overwrite this source" in result.stderr
    assert Path("photo.jpg").read_bytes() == before


def test_a_folder_that_cannot_be_made(tombola: Tombola) -> None:
    result = tombola("detect", "photo.jpg", *WITH_MODEL, "--save", "photo.jpg/out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: --save {Path('photo.jpg/out')}: the folder cannot be made")


def test_a_full_disk_leaves_nothing_half_written(shell: Shell) -> None:
    result = shell("ulimit -f 0; detect photo.jpg --model model.onnx --save out")
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot write out/photo.jpg: ")
    assert result.stderr.count("\n") == 1
    assert list(Path("out").iterdir()) == []


def truncated(photo: bytes) -> bytes:
    return photo[:-20]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (lambda _: b"", "is empty"),
        (truncated, "cut-off JPEG"),
        (lambda _: b"not a picture", "not a picture"),
    ],
    ids=["missing", "empty", "truncated", "text"],
)
def test_one_bad_source_is_named_and_the_others_are_done(
    tombola: Tombola, picture: Picture, content: Callable[[bytes], bytes] | None, message: str
) -> None:
    picture("last.jpg")
    if content is not None:
        Path("bad.jpg").write_bytes(content(Path("photo.jpg").read_bytes()))
    result = tombola("detect", "photo.jpg", "bad.jpg", "last.jpg", *WITH_MODEL)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: bad.jpg: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert "photo.jpg  200×100  2 found" in result.stdout
    assert "last.jpg  200×100  2 found" in result.stdout
    assert result.stdout.endswith("2 done, 1 failed\n")


@pytest.mark.parametrize("source", ["0" * 300 + ".jpg", "loop.jpg", "https://example.org/photo.jpg"])
def test_a_source_that_the_system_refuses_does_not_end_the_run(tombola: Tombola, source: str) -> None:
    Path("loop.jpg").symlink_to("loop.jpg")
    result = tombola("detect", source, "photo.jpg", *WITH_MODEL)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {source}: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout.endswith("1 done, 1 failed\n")


def test_a_picture_larger_than_the_memory_does_not_end_the_run(
    tombola: Tombola, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tombola.runtime.moving import read_ahead
    from tombola.runtime.pictures.picture import read_picture

    def read(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "huge.jpg":
            raise MemoryError
        return read_picture(path, *arguments, **options)

    monkeypatch.setattr(read_ahead, "read_picture", read)
    result = tombola("detect", picture("huge.jpg"), "photo.jpg", *WITH_MODEL)
    assert result.stderr == "error: huge.jpg: is larger than the memory that is free.\n"
    assert result.stdout.endswith("1 done, 1 failed\n")


def test_what_a_folder_holds_beside_pictures_is_told(tombola: Tombola, picture: Picture) -> None:
    picture("album/photo.jpg")
    for name in ("notes.txt", "photo.xml"):
        Path("album", name).write_text("x")
    Path("album/deeper").mkdir()
    result = tombola("detect", "album", *WITH_MODEL)
    assert result.exit_code == 0
    assert result.stderr == "note: album: passed over 2 files (notes.txt, photo.xml) and 1 folder (deeper)\n"


def test_json_ends_with_a_count_on_stderr(tombola: Tombola) -> None:
    result = tombola("detect", "photo.jpg", *WITH_MODEL, "--json")
    assert (result.exit_code, result.stderr) == (0, "1 done, 0 failed\n")


def test_a_picture_on_stdin(shell: Shell) -> None:
    result = shell("detect - --model model.onnx --save out < photo.jpg")
    assert (result.returncode, result.stderr) == (0, "")
    assert steady(result.stdout).startswith(f"-  200×100  2 found  T ms on cpu  -> {Path('out/stdin.png')}")
    for source, message in (("< model.onnx", "not a picture"), ("<&-", "stdin is closed")):
        bad = shell(f"detect - --model model.onnx {source}")
        assert (bad.returncode, bad.stdout) == (1, "")
        assert bad.stderr.startswith("error: -: ")
        assert message in bad.stderr


def test_a_closed_stdout_is_one_line(shell: Shell) -> None:
    result = shell("detect photo.jpg --model model.onnx >&-")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("error: stdout is closed")


def test_a_closed_stderr_stays_out_of_the_files(shell: Shell) -> None:
    result = shell("detect photo.jpg gone.jpg --model model.onnx --save out 2>&-")
    assert result.returncode == 1
    assert result.stdout.endswith("1 done, 1 failed\n")
    assert cv2.imread("out/photo.jpg") is not None


def test_nothing_but_bad_sources_loads_no_model(tombola: Tombola) -> None:
    Path("empty").mkdir()
    result = tombola("detect", "missing.jpg", "empty", "*.pdf", "--model", "missing.onnx")
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == [
        "missing.jpg",
        "empty",
        "*.pdf",
    ]


def test_the_limit_of_pixels_can_be_set(tombola: Tombola) -> None:
    result = tombola("detect", "photo.jpg", *WITH_MODEL, "--max-pixels", "19999")
    assert result.exit_code == 1
    assert "200x100" in result.stderr
    assert tombola("detect", "photo.jpg", *WITH_MODEL, "--max-pixels", "20000").exit_code == 0


def test_a_bad_model_stops_at_once(tombola: Tombola) -> None:
    Path("bad.onnx").write_bytes(b"")
    result = tombola("detect", "photo.jpg", "--model", "bad.onnx")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: bad.onnx: the file is empty (0 bytes).\n"


def test_the_model_that_ships_is_the_default(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    from tombola.runtime import models

    monkeypatch.setattr(models, "__path__", ["."])
    missing = tombola("detect", "photo.jpg")
    assert missing.exit_code == 1
    assert missing.stderr.startswith("error: no model ships with this installation")
    assert "--model" in missing.stderr
    Path("model.onnx").rename("voc-detector.onnx")
    assert tombola("detect", "photo.jpg").exit_code == 0


@pytest.mark.parametrize(
    "options",
    [["--score", "1.5"], ["--iou", "-1"], ["--max", "0"], ["--device", "tpu"], ["--threads", "0"], []],
)
def test_a_wrong_command_line_is_exit_2(tombola: Tombola, options: list[str]) -> None:
    sources = ["photo.jpg"] if options else []
    assert tombola("detect", *sources, *options, "--model", "model.onnx").exit_code == 2


def test_cuda_that_cannot_be_had_is_an_error(tombola: Tombola) -> None:
    from tombola.runtime.session import cuda

    if cuda.has_driver():
        pytest.skip("this machine has an NVIDIA driver")
    result = tombola("detect", "photo.jpg", "--model", "model.onnx", "--device", "cuda")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert "tombola doctor" in result.stderr


def test_a_driver_without_cuda_is_told_once(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.runtime.session.cuda.has_driver", lambda: True)
    monkeypatch.setattr("tombola.runtime.session.cuda.has_cuda_build", lambda: False)
    result = tombola("detect", "photo.jpg", "--model", "model.onnx")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: CUDA is not used: ")
    assert result.stderr.count("\n") == 1


def test_names_that_no_encoding_holds(shell: Shell) -> None:
    """A file name that is not UTF-8, on a terminal that knows ASCII only."""
    name = b"caf\xe9.jpg"
    Path("photo.jpg").rename(Path(name.decode("utf-8", "surrogateescape")))
    for option in ("", "--json"):
        result = shell(
            f"tombola detect *.jpg --model model.onnx --save out {option}",
            PYTHONIOENCODING="ascii",
            PYTHONUTF8="0",
        )
        assert (result.returncode, result.stderr) == (0, "1 done, 0 failed\n" if option else "")
        assert "caf\\udce9.jpg" in result.stdout
    assert json.loads(result.stdout)["source"] == "caf\udce9.jpg"


def test_a_closed_pipe_is_quiet(shell: Shell) -> None:
    result = shell("detect photo.jpg photo.jpg --model model.onnx | head -n 1; exit ${PIPESTATUS[0]}")
    assert steady(result.stdout) == "photo.jpg  200×100  2 found  T ms on cpu\n"
    assert result.stderr == ""


HEAVY = {"torch", "rich", "pydantic", "matplotlib", "onnx", "PIL", "tombola.train", "tombola.export"}


def test_nothing_heavy_is_imported(shell: Shell) -> None:
    program = (
        "import sys; from tombola.cli.main import app; "
        "app(['detect', 'photo.jpg', '--model', 'model.onnx', '--save', 'out'], standalone_mode=False); "
        "print(*sys.modules)"
    )
    result = shell(f'python -c "{program}"')
    assert result.returncode == 0
    modules = result.stdout.splitlines()[-1].split()
    assert "tombola.runtime.tasks.detect.model" in modules
    assert HEAVY.isdisjoint(modules)


def test_help_imports_not_even_the_runtime(shell: Shell) -> None:
    result = shell('python -c "import sys, tombola.cli.main; print(*sys.modules)"')
    assert (HEAVY | {"numpy", "cv2", "onnxruntime"}).isdisjoint(result.stdout.split())
