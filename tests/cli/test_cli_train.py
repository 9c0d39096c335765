"""`tombola train`, then `evaluate` and `export` of what it left: a tiny run on four pictures."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from tombola.cli.main import app
from tombola.errors import ExportError
from tombola.export.graph.size import PartSize
from tombola.export.parity.parity import Comparison, Parity
from tombola.runtime.tasks.difference import Difference
from tombola.runtime.tasks.table import TASKS

Tombola = Callable[..., Result]

RECIPE = """
task = "detect"
name = "tiny"
[[data.train]]
annotations = "annotations.json"
pictures = "photos"
[[data.valid]]
annotations = "annotations.json"
pictures = "photos"
[[data.test]]
annotations = "annotations.json"
pictures = "photos"
folds = ["0/2"]
[network]
backbone = "mobilenet_v2"
width = 0.25
channels = 16
batch_norm = "trained"
[picture]
size = 64
[training]
epochs = 1
batch_size = 2
workers = 0
warmup_steps = 1
early_steps = [1]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recipe.toml, its pictures, and the finished run runs/first."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "photos").mkdir()
    for n in range(4):
        image = np.full((64, 96, 3), 100, np.uint8)
        cv2.rectangle(image, (10 * n, 5), (10 * n + 30, 29), (0, 0, 255), -1)
        assert cv2.imwrite(str(folder / "photos" / f"{n}.png"), image)
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 96, "height": 64} for n in range(4)],
        "annotations": [{"image_id": n, "category_id": 1, "bbox": [10 * n, 5, 31, 25]} for n in range(4)],
        "categories": [{"id": 1, "name": "box"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    (folder / "recipe.toml").write_text(RECIPE)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small that more threads only wait for each other
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(app, ["train", "recipe.toml", "--out", "runs/first", "--device", "cpu"])
    torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith(f"{Path('runs/first')}: best voc07_map ")
    assert result.stdout.splitlines()[1] == f"Next: tombola export {Path('runs/first')}"
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the current folder."""
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.delenv("TOMBOLA_DEBUG", raising=False)
    return tmp_path / "copy"


@pytest.mark.usefixtures("place")
def test_training_leaves_a_run_folder() -> None:
    names = {path.name for path in Path("runs/first").iterdir()}
    assert {
        "recipe.toml",
        "metrics.csv",
        "best.safetensors",
        "last.safetensors",
        "early-1.safetensors",
        "watch.csv",
        "report.html",
    } <= names


@pytest.mark.usefixtures("place")
def test_a_report_is_written_anew(tombola: Tombola) -> None:
    before = Path("runs/first/report.html").read_bytes()
    assert b"<h2>Training pictures</h2>" in before
    Path("runs/first/report.html").unlink()
    result = tombola("report", "runs/first", "--device", "cpu")
    assert (result.exit_code, result.stdout.strip()) == (0, str(Path("runs/first/report.html")))
    assert Path("runs/first/report.html").read_bytes() == before
    assert b"<h2>Layers</h2>" in before


@pytest.mark.usefixtures("place")
def test_a_report_of_no_run(tombola: Tombola) -> None:
    result = tombola("report", "photos")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: photos is not a run folder: it has no recipe.toml")


@pytest.mark.usefixtures("place")
def test_a_run_is_not_trained_over(tombola: Tombola) -> None:
    result = tombola("train", "recipe.toml", "--out", "runs/first", "--device", "cpu")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert "--resume" in result.stderr


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["missing.toml"], "error: recipe missing.toml does not exist"),
        (["recipe.toml", "--set", "training.epochz=3"], "training.epochz is not a known key"),
        (["recipe.toml", "--set", "training.epochs=-1"], "training.epochs = -1"),
        (["recipe.toml", "--set", "training"], "has no '='"),
        (["recipe.toml", "--set", 'data.train=[{annotations="no.json",pictures="photos"}]'], "no.json"),
    ],
)
def test_what_is_wrong_is_said(tombola: Tombola, options: list[str], message: str) -> None:
    result = tombola("train", *options, "--out", "runs/other", "--device", "cpu")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert not Path("runs/other").exists()


def test_options_reach_the_library(tombola: Tombola, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: dict[str, Any] = {}

    def train_recipe(recipe: Path, out: Path | None, **options: Any) -> Any:
        given.update(recipe=recipe, out=out, **options)
        (tmp_path / "recipe.toml").write_text(RECIPE)
        return SimpleNamespace(
            path=tmp_path,
            recipe_path=tmp_path / "recipe.toml",
            read_metrics=lambda: [{"valid_voc07_map": 0.5}, {"loss": 1.0}, {"valid_voc07_map": 0.25}],
        )

    monkeypatch.setattr("tombola.train.train.train_recipe", train_recipe)
    result = tombola("train", "a.toml", "--set", "seed=1", "--set", "training.epochs=2", "--resume", "-q")
    assert result.stdout.startswith(f"{tmp_path}: best voc07_map 50.00 %\n")
    assert given == {
        "recipe": Path("a.toml"),
        "out": None,
        "overrides": ["seed=1", "training.epochs=2"],
        "resume": True,
        "device": "auto",
        "quiet": True,
    }


def test_a_recipe_that_ships_is_found_by_name(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Path] = []

    def train_recipe(recipe: Path, *_: Any, **__: Any) -> Any:
        given.append(recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr("tombola.train.train.train_recipe", train_recipe)
    for name in ("voc-detector", "voc-detector.toml"):
        assert tombola("train", name).exit_code == 130
    assert [path.is_file() for path in given] == [True, True]


def test_an_interrupted_training_says_how_to_go_on(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    from tombola.train.loop.loop import Interrupted

    def train_recipe(*_: Any, **__: Any) -> None:
        raise Interrupted("stopped after step 3; continue with --resume")

    monkeypatch.setattr("tombola.train.train.train_recipe", train_recipe)
    result = tombola("train", "recipe.toml")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "stopped after step 3; continue with --resume\n"


@pytest.mark.parametrize("command", ["train recipe.toml", "export run", "evaluate run"])
def test_without_the_training_extra(
    shell: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path, command: str
) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    (tmp_path / "run").mkdir()
    result = shell(f"cd {tmp_path}; tombola {command}", PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "error: this command needs torch, which is not installed: pip install 'tombola[train]'\n"
    )


@pytest.mark.usefixtures("place")
def test_evaluate_the_run_on_its_test_split_and_on_others(tombola: Tombola) -> None:
    own = tombola("evaluate", "runs/first", "--device", "cpu", "--json")
    assert own.exit_code == 0, own.output
    assert json.loads(own.stdout)["pictures"] == 2
    assert json.loads(tombola("evaluate", "runs/first", "--split", "valid", "--json").stdout)["pictures"] == 4
    named = tombola("evaluate", "runs/first", "-a", "annotations.json", "-p", "photos", "--weights", "last")
    assert "4 pictures; precision" in named.stdout
    wrong = tombola("evaluate", "runs/first", "--split", "exam")
    assert wrong.exit_code == 2


def test_export_reports_what_it_wrote(
    tombola: Tombola, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: dict[str, Any] = {}
    (tmp_path / "card.toml").write_text('licence = "CC0-1.0"\n[metrics]\nvoc07_map = 0.5\n')

    def apart(box_px: float, score: float) -> tuple[Difference, ...]:
        return Difference("b", "boxes", box_px, 0.1, "px"), Difference("s", "scores", score, 1e-3)

    def export_run(run: Path, output: Path, **options: Any) -> Any:
        given.update(run=run, output=output, **options)
        return SimpleNamespace(
            path=output,
            nbytes=2_500_000,
            contract=SimpleNamespace(task="detect", probes=[None] * 3, signature=TASKS["detect"].signature),
            rounding=Parity(
                "boxes", (Comparison("drawn", (64, 64), {}, 12, apart(0.17, 6e-4)),), undecided=1
            ),
            parity=Parity(
                "boxes",
                (
                    Comparison("drawn", (64, 64), {}, 3, apart(2e-5, 3e-8)),
                    Comparison("drawn", (2160, 3840), {}, 3, apart(1e-4, 2e-8)),
                    Comparison("blank", (1, 1), {}, 0, apart(0.0, 0.0)),
                ),
            ),
            parts=(PartSize("backbone", 1_200_000, 0, 2_400_000), PartSize("roi_head", 50_000, 0, 99_950)),
        )

    monkeypatch.setattr("tombola.export.run.export_run", export_run)
    run = tmp_path / "a"
    run.mkdir()
    for name in ("recipe.toml", "lineage.json"):
        (run / name).touch()
    result = tombola(
        "export",
        run,
        "-o",
        "my a.onnx",
        "--card",
        tmp_path / "card.toml",
        "--photo",
        "p.jpg",
        "--score",
        "0.64",
    )
    assert result.exit_code == 0
    assert result.stdout == (
        "part        weights      size\n"
        "backbone  1,200,000    2.4 MB\n"
        "roi_head     50,000  100.0 kB\n"
        "\n"
        "Answers as PyTorch does: 6 boxes compared, on pictures from 1×1 to 3840×2160 px: "
        "boxes within 0.0001 px, scores within 3e-08.\n"
        "Weights rounded to float16 against those trained: 12 boxes compared: "
        "boxes within 0.2 px, scores within 0.0006; in 1 answer another choice was made.\n"
        "Carries 3 small probes for `tombola verify`.\n"
        "my a.onnx: 2.5 MB\n"
        "Next: tombola detect photo.jpg --model 'my a.onnx' --save out\n"
    )
    assert given == {
        "run": run,
        "output": Path("my a.onnx"),
        "weights": "best",
        "changes": ("answer.score_threshold=0.64",),
        "half": True,
        "packed": False,
        "facts": {"licence": "CC0-1.0", "metrics": {"voc07_map": 0.5}},
        "photos": [Path("p.jpg")],
    }


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["missing"], "error: missing is not a run folder: it has no recipe.toml"),
        (["runs/first", "-o", "model.pt"], ".onnx"),
        (["runs/first", "--weights", "early-9"], "early-9"),
        (["runs/first", "--card", "no.toml"], "error: --card no.toml does not exist"),
        (["runs/first", "--card", "annotations.json"], "error: --card annotations.json is not valid TOML"),
        (["runs/first", "--card", "dated.toml"], "error: --card dated.toml holds a date"),
    ],
)
def test_export_says_what_is_wrong(tombola: Tombola, options: list[str], message: str) -> None:
    Path("dated.toml").write_text("made = 2026-01-31\n")
    result = tombola("export", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert not Path("detector.onnx").exists()


@pytest.mark.usefixtures("place")
def test_a_failed_export_is_told(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    def export_run(*_: Any, **__: Any) -> None:
        raise ExportError("the file answers differently")

    monkeypatch.setattr("tombola.export.run.export_run", export_run)
    assert tombola("export", "runs/first").stderr == "error: the file answers differently\n"


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_whole_way(tombola: Tombola) -> None:
    """Train (in the fixture), export, verify, detect, evaluate: the file answers as the run does."""
    exported = tombola("export", "runs/first", "-o", "detector.onnx", "--photo", "photos/0.png")
    assert exported.exit_code == 0, exported.output
    assert tombola("verify", "detector.onnx", "--device", "cpu").exit_code == 0
    assert (
        tombola("detect", "photos", "-m", "detector.onnx", "--score", "0.1", "--save", "out").exit_code == 0
    )
    assert len(list(Path("out").iterdir())) == 4
    source = ("-a", "annotations.json", "-p", "photos", "--device", "cpu", "--json")
    run = json.loads(tombola("evaluate", "runs/first", *source).stdout)
    file = json.loads(tombola("evaluate", "detector.onnx", *source).stdout)
    assert file["voc07_map"] == pytest.approx(run["voc07_map"], abs=0.02)
