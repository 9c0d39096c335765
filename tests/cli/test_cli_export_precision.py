"""`tombola export --precision`: which options go together, and what is told."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from tombola.cli.model.quantize_print import quantize_lines
from tombola.export.quantize.quantize import QuantizeReport
from tombola.runtime.contract.contract import Contract
from tombola.runtime.session.bench import BenchResult, speed
from tombola.train.evaluate import difference_interval
from tombola.train.metrics.classification import ClassificationScores

Tombola = Callable[..., Result]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["model.onnx"], "is exported already; --precision or --compress makes another"),
        (["model.onnx", "--precision", "int8"], "--output is missing"),
        (["model.onnx", "--precision", "int8", "-o", "a.onnx", "--weights", "last"], "are of a run"),
        (["run", "--calibrate", "photos"], "are of --precision int8 or fp16"),
        (["run", "--precision", "fp16", "--calibrate", "photos"], "are of --precision int8"),
        (["run", "--precision", "fp16", "--for", "arm"], "are of --precision int8"),
        (["run", "--precision", "int8", "--full-precision"], "is of --precision float32"),
        (["run", "--precision", "int8", "--annotations", "a.json"], "name them too"),
        (["run", "--precision", "int4"], "'int4' is not one of"),
    ],
)
def test_options_that_do_not_go_together(
    tombola: Tombola, place: Path, options: list[str], message: str
) -> None:
    (place / "run").mkdir()
    result = tombola("export", *options)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_a_file_is_packed_and_answers_as_before(tombola: Tombola, place: Path) -> None:
    result = tombola("export", "model.onnx", "--compress", "-o", "small.onnx")
    assert (result.exit_code, result.stdout.split(":")[0]) == (0, "small.onnx.gz"), result.output
    assert gzip.decompress((place / "small.onnx.gz").read_bytes()) == (place / "model.onnx").read_bytes()
    assert "2 found" in tombola("detect", "photo.jpg", "--model", "small.onnx.gz").stdout


def test_int8_without_pictures_to_fit_it_to(tombola: Tombola, place: Path) -> None:
    result = tombola("export", "model.onnx", "--precision", "int8", "-o", "small.onnx")
    assert result.exit_code == 1
    assert "model.onnx has no layer that would gain by int8" in result.stderr
    assert not (place / "small.onnx").exists()


def result_of(after_ms: float) -> BenchResult:
    return BenchResult(Path("m.onnx"), 963_000, "cpu", 2, (after_ms,) * 10, 100.0, 0.1, 1, 1)


def report(**changes: Any) -> QuantizeReport:
    before, after = result_of(2.0), result_of(1.25)
    told = QuantizeReport(
        path=Path("small.onnx"),
        nbytes=544_445,
        precision="int8",
        contract=Contract("classify", ("cat",), {}),
        layers=("a", "b"),
        left=("stem", "head"),
        left_out=(),
        pictures=64,
        before=before,
        after=after,
        speed=speed(after.latencies_ms, before.latencies_ms),
        score_before=None,
        score_after=None,
        difference=None,
    )
    return replace(told, **changes)


def test_what_is_told(tmp_path: Path) -> None:
    assert quantize_lines(report(), tmp_path, None) == [
        "2 layers in int8, fitted to 64 pictures; in float stem, head.",
        "The score was not measured: give --pictures with their --annotations to know what it costs.",
        "Speed: 1.25 ms against 2.00 ms, ×1.60 (95 %: 1.60 … 1.60), on cpu, 2 threads.",
        "Size: 544.4 kB against 963.0 kB.",
        "Carries 0 small probes of its own for `tombola verify`.",
        "small.onnx: 544.4 kB",
        "Next: tombola classify photo.jpg --model small.onnx --save out",
    ]


def test_the_score_is_told_with_its_difference(tmp_path: Path) -> None:
    before, after = (
        ClassificationScores(("cat",), np.zeros((1, 1), np.int64), 1.0, np.arange(100) < right)
        for right in (95, 94)
    )
    told = report(
        score_before=before,
        score_after=after,
        difference=difference_interval(after, before),
        left_out=("blocks.1",),
    )
    lines = quantize_lines(told, tmp_path, None)
    assert lines[1] == "In float because of what they cost the score: blocks.1."
    assert lines[2] == (
        "accuracy: 94.00 against 95.00 % on 100 held-out pictures, difference -1.00 (95 %: -3.00 … +0.00)."
    )
