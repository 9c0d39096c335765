"""`tombola evaluate` of a generator: its pictures, real ones and noise in a classifier's eyes."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnx.parser
import pytest
from typer.testing import Result

from tests.toy_generator import LABELS, full_generator, plain_generator
from tombola.runtime.contract.contract import Contract

Tombola = Callable[..., Result]

# Dark, light and lightest by the level of the first pixel; its features are the first two pixels.
JUDGE = """
<ir_version: 9, opset_import: ["" : 20]>
judge (uint8[height, width, 3] image) => (float[3] probabilities)
<float[2, 3] head_weight = {0, 0.5, 1.1, 0, 0, 0}, float[3] head_bias = {0, -34, -123}, float scale = {0.5},
 int64[3] start = {0, 0, 0}, int64[3] end = {1, 2, 1}, int64[2] row = {1, 2}, int64[1] flat = {3}>
{
  pixels = Slice (image, start, end)
  seen = Cast <to = 1> (pixels)
  scaled = Mul (seen, scale)
  features = Reshape (scaled, row)
  logits = Gemm (features, head_weight, head_bias)
  flat_logits = Reshape (logits, flat)
  probabilities = Softmax (flat_logits)
}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model = onnx.parser.parse_model(JUDGE)
    for value in (*model.graph.initializer, *(node for node in model.graph.node if node.op_type == "Gemm")):
        if isinstance(value, onnx.TensorProto):
            value.name = value.name.replace("_weight", ".weight")
        else:
            value.input[1] = "head.weight"  # a name that the text form cannot hold
    onnx.helper.set_model_props(model, Contract("classify", LABELS, {}).to_metadata())
    Path("judge.onnx").write_bytes(model.SerializeToString())
    Path("full.onnx").write_bytes(full_generator())
    Path("plain.onnx").write_bytes(plain_generator())
    rng = np.random.default_rng(0)
    for label, name in enumerate(LABELS):
        Path("real", name).mkdir(parents=True)
        for number in range(60):
            levels = np.clip(128 + 20 * label + 50 * rng.standard_normal((1, 2, 1)), 0, 255)
            cv2.imwrite(f"real/{name}/{number}.png", np.repeat(levels, 3, axis=2).astype(np.uint8))
    return tmp_path


def test_what_is_made_as_the_real_ones_are_is_as_near_as_they(place: Path, tombola: Tombola) -> None:  # noqa: ARG001
    asked = ("evaluate", "full.onnx", "--judge", "judge.onnx", "--pictures", "real")
    told = json.loads(tombola(*asked, "--json").stdout)
    made, real, noise = told["judged"]
    assert made["pictures"] == 90
    assert [one["origin"] for one in (made, real, noise)] == ["made", "real", "noise"]
    assert noise["frechet"] > 4 * max(made["frechet"], real["frechet"])
    assert made["precision"] > 0.5
    assert noise["right_class"] is None
    lines = tombola(*asked).stdout.splitlines()
    assert lines[1].split()[0] == "made"
    assert any("this is no FID" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["full.onnx", "--judge", "judge.onnx"], "does not say what to score it on"),
        (["full.onnx", "--pictures", "real"], "name a classifier of the same classes by --judge"),
        (["full.onnx", "--pictures", "real", "--judge", "plain.onnx"], "a judge is a classifier"),
    ],
)
def test_what_it_refuses(place: Path, tombola: Tombola, arguments: list[str], said: str) -> None:  # noqa: ARG001
    done = tombola("evaluate", *arguments)
    assert done.exit_code == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--interval"], "--interval has no meaning for a generator; leave it out"),
        (["--confusions", "c.png"], "--confusions has no meaning"),
        (["--against", "plain.onnx"], "--against has no meaning"),
        (["--proposals", "p.npz"], "--proposals has no meaning"),
        (["--likelihood", "9"], "--likelihood is of a run, on its own pictures"),
    ],
)
def test_options_that_a_generator_has_no_use_for(
    place: Path,  # noqa: ARG001
    tombola: Tombola,
    options: list[str],
    said: str,
) -> None:
    done = tombola("evaluate", "full.onnx", "--pictures", "real", *options)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("options", [["--picture", "real/dark/0.png"], ["--size", "720p"]])
def test_a_bench_of_latents_takes_no_picture(place: Path, tombola: Tombola, options: list[str]) -> None:  # noqa: ARG001
    done = tombola("bench", "full.onnx", *options)
    assert done.exit_code == 2
    assert "are not for generators; leave them out" in " ".join(done.stderr.replace("│", " ").split())
