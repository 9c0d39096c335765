"""A toy model of the contract, small enough to know its answers by heart."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnx.parser
import pytest
from numpy.typing import NDArray

from tombola.runtime.contract.contract import Contract, Probe
from tombola.runtime.load import load
from tombola.runtime.tasks.detect.model import Detector

LABELS = ("cat", "dog", "bird")
DEFAULTS: dict[str, float | int] = {"score_threshold": 0.5, "iou_threshold": 0.5, "max_detections": 10}

# Four boxes as shares of the picture. The first scores as bright as the red of the top left pixel, the others
# 0.8, 0.75 and 0.4; the third overlaps the second with IoU 0.75, so NMS at 0.5 drops it.
TOY = """
<ir_version: 10, opset_import: ["" : 20]>
toy (uint8[height, width, 3] image, float score_threshold = {0.5}, float iou_threshold = {0.5},
     int64 max_detections = {10})
  => (float[n, 4] boxes, float[n] scores, int64[n] labels)
<float[4, 4] shares = {0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 1.0, 0.9, 0.5, 0.5, 1.0, 0.8, 0.0, 0.5, 0.25, 0.75},
 float[3] fixed_scores = {0.8, 0.75, 0.4}, int64[4] classes = {0, 1, 1, 2},
 int64[4] width_height = {1, 0, 1, 0}, int64[1] batch = {0}, int64[3] corner_at = {0, 0, 0},
 int64[1] flat = {-1}, float full = {255.0}, int64 box_column = {2}, int64[1] zero = {0}, int64[1] two = {2}>
{
  shape = Shape (image)
  size_hw = Slice (shape, zero, two)
  sides = Cast <to = 1> (size_hw)
  scale = Gather (sides, width_height)
  all_boxes = Mul (shares, scale)
  corner = GatherND (image, corner_at)
  corner_float = Cast <to = 1> (corner)
  bright = Div (corner_float, full)
  first_score = Reshape (bright, flat)
  all_scores = Concat <axis = 0> (first_score, fixed_scores)
  boxes_batch = Unsqueeze (all_boxes, batch)
  scores_class = Unsqueeze (all_scores, batch)
  scores_batch = Unsqueeze (scores_class, batch)
  kept = NonMaxSuppression (boxes_batch, scores_batch, max_detections, iou_threshold, score_threshold)
  index = Gather <axis = 1> (kept, box_column)
  boxes = Gather (all_boxes, index)
  scores = Gather (all_scores, index)
  labels = Gather (classes, index)
}
"""


ENDLESS = """
<ir_version: 10, opset_import: ["" : 20]>
endless (uint8[height, width, 3] image) => (float[classes] probabilities)
<int64 rounds = {4611686018427387904}, bool go = {1}, float[3] thirds = {0.25, 0.25, 0.5}>
{
  probabilities = Loop (rounds, go, thirds)
    <body = body (int64 i, bool go_in, float[3] x) => (bool go_out, float[3] y)
    {
      go_out = Identity (go_in)
      y = Identity (x)
    }>
}
"""


def _contract(**changes: object) -> Contract:
    _, png = cv2.imencode(".png", np.zeros((8, 10, 3), np.uint8))
    expected: dict[str, list[Any]] = {"boxes": [[5.0, 4.0, 10.0, 7.2]], "scores": [0.8], "labels": [1]}
    values: dict[str, object] = {
        "task": "detect",
        "labels": LABELS,
        "defaults": DEFAULTS,
        "card": {"licence": "Apache-2.0", "input_size_hw": [320, 256]},
        "probes": (Probe(png.tobytes(), expected),),
    }
    return Contract(**{**values, **changes})  # type: ignore[arg-type]


def _model(text: str = TOY, metadata: dict[str, str] | None = None) -> onnx.ModelProto:
    model = onnx.parser.parse_model(text)
    onnx.helper.set_model_props(model, _contract().to_metadata() if metadata is None else metadata)
    return model


@pytest.fixture(scope="session")
def make_contract() -> Callable[..., Contract]:
    """make_contract(field=value, ...): the toy's contract. Its probe is a black 8x10 picture, where only the
    second box scores above the threshold."""
    return _contract


@pytest.fixture(scope="session")
def make_toy() -> Callable[..., onnx.ModelProto]:
    """make_toy(text, metadata): the toy as a ModelProto that a test may spoil before it writes it."""
    return _model


@pytest.fixture(scope="session")
def toy_text() -> str:
    return TOY


@pytest.fixture(scope="session")
def toy_bytes() -> bytes:
    return bytes(_model().SerializeToString())


@pytest.fixture
def toy_path(tmp_path: Path, toy_bytes: bytes) -> Path:
    path = tmp_path / "toy.onnx"
    path.write_bytes(toy_bytes)
    return path


@pytest.fixture(scope="session")
def toy(toy_bytes: bytes) -> Detector:
    return load(toy_bytes, device="cpu", task="detect")


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """A picture without symmetry, uint8 [60, 80, 3] RGB: smooth, so that JPEG changes it little."""
    y, x = np.mgrid[0:60, 0:80].astype(np.float32)
    channels = (250 - 2 * x, 30 + 3 * y, 60 + x + y)
    image_rgb_u8: NDArray[np.uint8] = np.clip(np.stack(channels, axis=2), 0, 255).astype(np.uint8)
    return image_rgb_u8


@pytest.fixture
def ordinary_user() -> Iterator[Callable[[], None]]:
    """ordinary_user(): give up root's rights until the test ends, for root may read and write everything."""
    if sys.platform == "win32":
        pytest.skip("permissions work otherwise there")
    was_root = os.geteuid() == 0

    def give_up() -> None:
        if was_root:
            os.seteuid(65534)

    yield give_up
    if was_root:
        os.seteuid(0)


@pytest.fixture(scope="session")
def endless_text() -> str:
    """The graph of a classifier that never answers, for `make_classifier`."""
    return ENDLESS
