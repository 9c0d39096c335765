"""`tombola bench`: the frame it measures on, and what it prints."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import Result

from tombola.cli.model.bench import frame_size
from tombola.runtime.contract.contract import Contract
from tombola.runtime.session.bench import BenchResult

Tombola = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("place")


def measured(name: str, p50_ms: float, peak_memory_mib: float | None = 160.4) -> BenchResult:
    times = (p50_ms,) * 9 + (p50_ms * 1.1,)
    return BenchResult(
        Path(name), 2_345_678, "cpu", 2, times, peak_memory_mib, 0.123, macs=1_234_567_890, weights=4_529_144
    )


def test_models_stand_side_by_side(tombola: Tombola, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def bench(models: list[Path], feeds_of: Any, **options: Any) -> list[BenchResult]:
        feeds = feeds_of(Contract("classify", ("cat",), {}))
        given.update(models=models, shapes={name: array.shape for name, array in feeds.items()}, **options)
        return [measured("dense.onnx", 20.0), measured("int8.onnx", 0.8, None)]

    monkeypatch.setattr("tombola.runtime.session.bench.bench", bench)
    options = ("--rounds", "3", "--device", "cpu", "--threads", "2")
    result = tombola("bench", "int8.onnx", "--against", "dense.onnx", *options)
    assert result.exit_code == 0
    assert result.stdout == (
        "noise of 1920×1080 on cpu, 2 threads, 10 calls each\n"
        "model         size  weights    MACs   memory  outside      p50      p95                 speed\n"
        "dense.onnx  2.3 MB   4.53 M  1.23 G  160 MiB     12 %  20.0 ms  21.1 ms                    ×1\n"
        "int8.onnx   2.3 MB   4.53 M  1.23 G        -     12 %  0.80 ms  0.84 ms  ×25.00 (25.00…25.00)\n"
    )
    assert given == {
        "models": [Path("dense.onnx"), Path("int8.onnx")],
        "shapes": {"image": (1080, 1920, 3)},
        "rounds": 3,
        "device": "cpu",
        "threads": 2,
    }


def test_a_real_measurement_in_json(tombola: Tombola) -> None:
    result = tombola("bench", "model.onnx", "--rounds", "2", "--size", "64x48", "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["path"], told["calls"], told["frame_size_hw"]) == ("model.onnx", 10, [48, 64])
    assert 0 < told["latency_p50_ms"] <= told["latency_p95_ms"]


@pytest.mark.parametrize(
    ("options", "frame"),
    [
        ([], "photo.jpg of 200×100"),
        (["--size", "40x30"], "photo.jpg of 40×30"),
        (["--size", "720P"], "1280×720"),
    ],
)
def test_a_picture_is_measured_at_its_own_size_or_another(
    tombola: Tombola, options: list[str], frame: str
) -> None:
    result = tombola("bench", "model.onnx", "--picture", "photo.jpg", "--rounds", "1", *options)
    assert frame in result.stdout.splitlines()[0]
    assert re.search(r"model\.onnx +1\.6 kB", result.stdout)


@pytest.mark.parametrize(("text", "size"), [("480p", (854, 480)), ("4K", (3840, 2160)), ("7x9", (7, 9))])
def test_frame_size(text: str, size: tuple[int, int]) -> None:
    assert frame_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "0x5", "12", "5x", "999999x5", "-3x4", "3×4"])
def test_a_wrong_frame_size_is_a_usage_error(tombola: Tombola, text: str) -> None:
    with pytest.raises(typer.BadParameter):
        frame_size(text)
    assert tombola("bench", "model.onnx", f"--size={text}").exit_code == 2


def test_a_missing_model(tombola: Tombola) -> None:
    result = tombola("bench", "model.onnx", "missing.onnx")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: missing.onnx: no such file.\n"


def test_layers_of_one_model(tombola: Tombola) -> None:
    result = tombola("bench", "model.onnx", "--profile", "--device", "cpu", "--size", "64x48")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split() == ["layer", "ms", "share"]
    assert re.fullmatch(r"all +\d+\.\d{3} +100\.0 %", result.stdout.splitlines()[-1])
    assert "give one FILE alone" in tombola("bench", "model.onnx", "model.onnx", "--profile").output


def test_models_are_scored_on_the_same_pictures(
    tombola: Tombola, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cat of truth.json lies where the model finds one, so both score as high."""
    results = [measured("model.onnx", 20.0), measured("other.onnx", 10.0)]
    monkeypatch.setattr("tombola.runtime.session.bench.bench", lambda *_, **__: results)
    (place / "other.onnx").write_bytes((place / "model.onnx").read_bytes())
    truth = {
        "images": [{"id": 1, "file_name": "photo.jpg", "width": 200, "height": 100}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 50]}],
        "categories": [{"id": n, "name": name} for n, name in enumerate(("cat", "dog", "person"), start=1)],
    }
    (place / "truth.json").write_text(json.dumps(truth))
    options = ("--annotations", "truth.json", "--pictures", str(place), "--device", "cpu")
    result = tombola("bench", "other.onnx", "--against", "model.onnx", *options, "--plot", "plot.png")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-3:] == [
        "model       voc07_map %             difference",
        "model.onnx       100.00",
        "other.onnx       100.00  +0.00 (+0.00 … +0.00)",
    ]
    assert (place / "plot.png").read_bytes()[:4] == b"\x89PNG"
    told = json.loads(tombola("bench", "model.onnx", "other.onnx", *options, "--json").stdout.splitlines()[1])
    assert told["score"] == {
        "name": "voc07_map", "value": 1.0, "difference": 0.0, "interval": [0.0, 0.0], "pictures": 1,
    }  # fmt: skip
    assert told["speed"] == {"ratio": 2.0, "low": 2.0, "high": 2.0}


def test_scores_need_pictures(tombola: Tombola) -> None:
    result = tombola("bench", "model.onnx", "--plot", "plot.png")
    assert result.exit_code == 2
    assert "are of --pictures; name them too" in " ".join(result.stderr.split())
