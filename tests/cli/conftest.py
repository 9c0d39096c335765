"""A model whose answers can be worked out in the head, pictures to show it, and a runner for the commands."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

from tombola.cli.main import app
from tombola.runtime.contract.contract import Contract, Probe

LABELS = ("cat", "dog", "person")
# As shares of width and height: two far apart, and one that overlaps the first with IoU 0.81.
BOXES = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 0.45, 0.45]], np.float32)
SCORES = np.array([0.9, 0.6, 0.3], np.float32)
DEFAULTS: dict[str, float | int] = {"score_threshold": 0.5, "iou_threshold": 0.5, "max_detections": 10}


CARD = {"licence": "CC0-1.0", "metrics": {"voc07_map": 0.5}, "input_size_hw": [32, 32]}


def three_box_model(
    *, labels: tuple[str, ...] = LABELS, card: Mapping[str, Any] = CARD, probes: tuple[Probe, ...] = ()
) -> bytes:
    """An .onnx file that finds BOXES with SCORES in every picture: cat 0.9, dog 0.6, person 0.3."""

    def constant(name: str, value: Any) -> TensorProto:
        return numpy_helper.from_array(np.asarray(value), name)

    nodes = [
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Gather", ["shape", "whwh"], ["whwh_i64"]),
        helper.make_node("Cast", ["whwh_i64"], ["scale"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["shares", "scale"], ["all_boxes"]),
        helper.make_node("Unsqueeze", ["all_boxes", "zero"], ["nms_boxes"]),
        helper.make_node(
            "NonMaxSuppression",
            ["nms_boxes", "nms_scores", "max_detections", "iou_threshold", "score_threshold"],
            ["kept"],
        ),
        helper.make_node("Gather", ["kept", "two"], ["index"], axis=1),
        helper.make_node("Gather", ["all_boxes", "index"], ["boxes"]),
        helper.make_node("Gather", ["all_scores", "index"], ["scores"]),
        helper.make_node("Gather", ["all_labels", "index"], ["labels"]),
    ]
    initializers = [
        constant("whwh", np.array([1, 0, 1, 0])),
        constant("shares", BOXES),
        constant("zero", np.array([0])),
        constant("two", np.array(2)),
        constant("nms_scores", SCORES[None, None]),
        constant("all_scores", SCORES),
        constant("all_labels", np.array([0, 1, 2])),
        constant("score_threshold", np.float32(DEFAULTS["score_threshold"])),
        constant("iou_threshold", np.float32(DEFAULTS["iou_threshold"])),
        constant("max_detections", np.int64(DEFAULTS["max_detections"])),
    ]
    graph = helper.make_graph(
        nodes,
        "three_boxes",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, ["height", "width", 3]),
            helper.make_tensor_value_info("score_threshold", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("iou_threshold", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("max_detections", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["n"]),
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    contract = Contract("detect", labels, DEFAULTS, card, probes)
    helper.set_model_props(model, contract.to_metadata())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def grey_probe(*, shift_px: float = 0.0) -> Probe:
    """A grey 20 x 10 picture and the answer to it; a shift makes that answer wrong."""
    png = cv2.imencode(".png", np.full((10, 20, 3), 127, np.uint8))[1].tobytes()
    boxes = BOXES[:2] * [20, 10, 20, 10] + shift_px
    return Probe(png, {"boxes": boxes.tolist(), "scores": [0.9, 0.6], "labels": [0, 1]})


@pytest.fixture
def model_bytes() -> Callable[..., bytes]:
    """`three_box_model`, for tests that need it changed."""
    return three_box_model


@pytest.fixture
def probe() -> Callable[..., Probe]:
    """`grey_probe`, for tests that need it wrong."""
    return grey_probe


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Write a grey picture (200 x 100 unless told) and return its path."""

    def write(path: str | Path, width: int = 200, height: int = 100) -> Path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((height, width, 3), 127, np.uint8))
        return Path(path)

    return write


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Callable[..., Path]) -> Path:
    """An empty current folder with `model.onnx` and `photo.jpg` (200 x 100) in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOMBOLA_DEBUG", raising=False)
    Path("model.onnx").write_bytes(three_box_model(probes=(grey_probe(),)))
    picture("photo.jpg")
    return tmp_path


@pytest.fixture
def tombola() -> Callable[..., Result]:
    """Run a command in this process: `tombola("detect", "photo.jpg")`."""

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tombola")

    return run


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a line of bash with this Python's console scripts first on PATH."""

    def run(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-c", command],
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
